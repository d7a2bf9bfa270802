"""Read a text file whole, with this package's errors for what can be wrong with it."""

from __future__ import annotations

from pathlib import Path

from prompt_oirl.errors import DataNotFoundError, FileFormatError

__all__ = ["check_file", "read_text"]


def check_file(path: Path) -> Path:
    """Return `path` if it is a file.

    Raises:
        DataNotFoundError: It is not.
    """
    if not path.is_file():
        raise DataNotFoundError(
            f"{path} is not there; `prompt-oirl download` fetches it, `--data` or PROMPT_OIRL_DATA names another folder"
        )
    return path


def read_text(path: Path) -> str:
    r"""Return the text of a UTF-8 file, with `\r\n` (a clone on Windows) as `\n`.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The bytes are not UTF-8.
    """
    content = check_file(path).read_bytes()
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise FileFormatError(path, f"byte {error.start} is not UTF-8 ({error.reason})", row=row) from error
