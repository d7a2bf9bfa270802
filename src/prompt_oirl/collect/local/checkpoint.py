"""A checkpoint folder of a local model: what must be in it, and the hash that tells it from others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from prompt_oirl.errors import DataNotFoundError, FileFormatError

__all__ = ["check_checkpoint", "local_base_url"]

_INDEX = "model.safetensors.index.json"
_SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""What decides about an answer beside the weights. A README or a log in the folder does not."""

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
_PIECES = 16
_PIECE_BYTES = 4096


def check_checkpoint(folder: Path | str) -> Path:
    """Return the folder if it has what a local model is loaded from; reads names, not weights.

    Raises:
        DataNotFoundError: The folder, its configuration, tokenizer or weights are missing.
        FileFormatError: Its weights are in a format that is not read, or its index is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataNotFoundError(
            f"{folder} is no folder; name that of a checkpoint, as `hf download MODEL --local-dir FOLDER` makes it"
        )
    _check_weights(folder)
    if not (folder / "config.json").is_file():
        raise DataNotFoundError(f"{folder} has no config.json; name the folder that holds it, or download it again")
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise DataNotFoundError(
            f"{folder} has no tokenizer ({', '.join(_TOKENIZERS)}); copy the checkpoint's tokenizer files into it"
        )
    return folder


def local_base_url(folder: Path | str) -> str:
    """Return the address of a run on this checkpoint: `local:` and 16 hexadecimal digits.

    The digits are a sha256 over the configuration, the tokenizer with its chat template, and of each file of weights
    its name, its size and 16 pieces of 4 KiB spread evenly over it. So it takes milliseconds, is the same on every
    machine, and differs between two fine-tunings of one architecture, whose files have equal names and sizes.

    Raises:
        DataError: The folder is no checkpoint; see `check_checkpoint`.
    """
    folder = check_checkpoint(folder)
    digest = hashlib.sha256()
    for path in (folder / name for name in _SMALL_FILES):
        if path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    for path in _weights(folder):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + _pieces(path))
    return f"local:{digest.hexdigest()[:16]}"


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _pieces(path: Path) -> bytes:
    size = path.stat().st_size
    pieces = []
    with path.open("rb") as file:
        for start in range(0, size, max(size // _PIECES, _PIECE_BYTES)):
            file.seek(start)
            pieces.append(file.read(_PIECE_BYTES))
    return b"".join(pieces)


def _check_weights(folder: Path) -> None:
    if missing := sorted(_indexed(folder) - {path.name for path in _weights(folder)}):
        raise DataNotFoundError(
            f"{folder} lacks {len(missing)} files of weights that its {_INDEX} names, such as {missing[0]}; "
            "finish the download"
        )
    if _weights(folder):
        return
    if pickles := sorted(folder.glob("*.bin")):
        raise FileFormatError(
            folder,
            f"its weights are pickles ({pickles[0].name}), which can run code when read; convert the checkpoint to "
            "safetensors, or serve it and use --base-url",
        )
    if others := sorted(folder.glob("*.gguf")):
        raise FileFormatError(
            folder, f"{others[0].name} is llama.cpp's format; serve it with llama-server and use --base-url"
        )
    raise DataNotFoundError(f"{folder} has no weights (*.safetensors); name the folder that holds them")


def _indexed(folder: Path) -> set[str]:
    path = folder / _INDEX
    if not path.is_file():
        return set()
    try:
        return set(json.loads(path.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(path, f"it is no index of weights ({error}); download it again") from error
