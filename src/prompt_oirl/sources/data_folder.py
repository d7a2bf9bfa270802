"""Where the released logs and the question sets are.

A data folder DIR has one of these layouts; the first is what `prompt-oirl download` makes:

```
DIR/prompt-oirl/         the release, or a clone of it   DIR/llama_exps/ …      DIR is itself a clone of the release
DIR/SVAMP/               a clone of arkilpatel/SVAMP     DIR/SVAMP/             the question sets inside it …
DIR/grade-school-math/   of openai/grade-school-math     DIR/../SVAMP/          … or beside it
```

A clone keeps its GitHub name, so `DIR/Prompt-OIRL/` is accepted for `DIR/prompt-oirl/`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from prompt_oirl.errors import DataNotFoundError

__all__ = ["VARIABLE", "cache_folder", "data_folder", "question_folder", "release_folder"]

VARIABLE = "PROMPT_OIRL_DATA"
"""The environment variable that names the data folder."""

_RELEASE_NAMES = ("prompt-oirl", "Prompt-OIRL")
_CLONE_MARK = "llama_exps"
_WAY_OUT = f"name a folder with `--data`, set {VARIABLE}, or run `prompt-oirl download`"


def cache_folder() -> Path:
    """Return the folder that `prompt-oirl download` fills unless told otherwise; it need not exist."""
    import pooch  # here, not above: a user with --data needs no cache

    return Path(pooch.os_cache("prompt-oirl")) / "data"


def data_folder(explicit: Path | str | None = None) -> Path:
    """Return the data folder: `explicit`, else `$PROMPT_OIRL_DATA`, else the user cache.

    A folder that was named but holds no release is an error, not a reason to look further.

    Raises:
        DataNotFoundError: The folder does not hold the release.
    """
    folder, named_by = _choose(explicit)
    if _find_release(folder) is None:
        raise DataNotFoundError(
            f"the released logs are not at {folder} ({named_by}): it has neither prompt-oirl/ in it "
            f"nor {_CLONE_MARK}/, as a clone of the release has; {_WAY_OUT}"
        )
    return folder


def release_folder(folder: Path | str) -> Path:
    """Return the root of the release within a data folder: the folder that holds `llama_exps/`.

    Raises:
        DataNotFoundError: The folder does not hold the release.
    """
    found = _find_release(Path(folder))
    if found is None:
        raise DataNotFoundError(f"the released logs are not at {folder}; {_WAY_OUT}")
    return found


def question_folder(folder: Path | str, name: Literal["SVAMP", "grade-school-math"]) -> Path:
    """Return the root of a question set's repository within a data folder, or beside it if that is itself a clone.

    Raises:
        DataNotFoundError: It is in none of these places.
    """
    folder = Path(folder).absolute()
    places = [folder / name]
    if (folder / _CLONE_MARK).is_dir():
        places.append(folder.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise DataNotFoundError(f"the question set {name} is not at {' or '.join(map(str, places))}; {_WAY_OUT}")


def _choose(explicit: Path | str | None) -> tuple[Path, str]:
    if explicit is not None:
        return Path(explicit), "given explicitly"
    if variable := os.environ.get(VARIABLE):
        return Path(variable), f"from {VARIABLE}"
    return cache_folder(), "the user cache"


def _find_release(folder: Path) -> Path | None:
    if (folder / _CLONE_MARK).is_dir():
        return folder
    return next((folder / name for name in _RELEASE_NAMES if (folder / name).is_dir()), None)
