"""A recommender as a folder: a manifest, its state as JSON, its arrays; no pickle, whole or not at all.

```
manifest.json   format version, sha256 of every other file, versions of what wrote it, a summary for people
state.json      parameters and fitted attributes of every part
arrays.npz      their arrays
```
"""

from __future__ import annotations

import json
import platform
import shutil
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.errors import ArtifactError
from prompt_oirl.evaluation import Estimate
from prompt_oirl.files import sha256_of
from prompt_oirl.persistence import pack, unpack
from prompt_oirl.policies import BestOfN, BestSinglePrompt
from prompt_oirl.records import Message, Prompt
from prompt_oirl.reward import saved_types
from prompt_oirl.selection import Contest, Selection

__all__ = ["FORMAT_VERSION", "load_folder", "save_folder"]

FORMAT_VERSION = 1
_FILES = ("state.json", "arrays.npz")
_TYPES = {each.__name__: each for each in (Prompt, Message, BestOfN, BestSinglePrompt, Selection, Contest, Estimate)}


def save_folder(folder: Path, state: Any, summary: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write a state of known types to a folder, with a manifest.

    Args:
        folder: What to make.
        state: Nested values of types that may be saved.
        summary: What the manifest says of it, for people.
        overwrite: Replace a recommender that is there already; nothing else is ever replaced.

    Raises:
        ArtifactError: Something is there already, or a part is of a type that cannot be saved.
    """
    replaced = _check_free(folder, overwrite=overwrite)
    tree, arrays = pack(state, _TYPES | saved_types())
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        (temporary / "state.json").write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
        np.savez_compressed(temporary / "arrays.npz", **arrays)  # type: ignore[arg-type]
        manifest = json.dumps({**_manifest(temporary), **summary}, ensure_ascii=False, indent=2)
        (temporary / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
        _put_in_place(temporary, folder, replaced=replaced)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(temporary: Path, folder: Path, *, replaced: bool) -> None:
    """Rename the new folder; a former one is moved aside first, and back if that fails."""
    if not replaced:
        temporary.replace(folder)
        return
    former = temporary.with_name(f"{temporary.name}.former")
    folder.replace(former)
    try:
        temporary.replace(folder)
    except OSError:
        former.replace(folder)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _check_free(folder: Path, *, overwrite: bool) -> bool:
    """Return whether a recommender is there that may be replaced; raise if anything else is."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    is_recommender = folder.is_dir() and {each.name for each in folder.iterdir()} == {"manifest.json", *_FILES}
    if not (overwrite and is_recommender):
        way_out = "remove it, or allow it to be overwritten" if is_recommender else "name another folder"
        raise ArtifactError(f"{folder} exists and is not empty; {way_out}")
    return True


def _manifest(folder: Path) -> dict[str, Any]:
    packages = ("prompt-oirl", "numpy", "scikit-learn", "lightgbm")
    return {
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {
            name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size} for name in _FILES
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
    }


def load_folder(folder: Path) -> Any:
    """Return the state that `save_folder` wrote, after checking every file against the manifest.

    Raises:
        ArtifactError: The folder is missing or incomplete, a byte differs, or its format version is another.
    """
    _check(folder)
    tree = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        return unpack(tree, dict(arrays), _TYPES | saved_types())


def _check(folder: Path) -> None:
    manifest = _read_manifest(folder)
    found = manifest.get("format_version")
    if found != FORMAT_VERSION:
        raise ArtifactError(
            f"{folder} has format version {found!r}, this version of prompt-oirl reads {FORMAT_VERSION}; "
            "train and save again, or install the version named in its manifest.json"
        )
    for name in _FILES:
        path = folder / name
        expected = _expected_hash(manifest, name)
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: the folder is incomplete; copy it again, or train and save again")
        if sha256_of(path) != expected:
            raise ArtifactError(
                f"{path} has sha256 {sha256_of(path)}, its manifest says {expected}: the file was changed or damaged; "
                "copy the folder again, or train and save again"
            )


def _expected_hash(manifest: dict[str, Any], name: str) -> str | None:
    try:
        expected: str | None = manifest["files"][name]["sha256"]
    except (KeyError, TypeError):
        return None
    return expected


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        raise ArtifactError(
            f"{folder} is no saved recommender: it has no manifest.json; name a folder that `train` wrote"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON ({error}); copy the folder again, or train and save again") from error
    if not isinstance(manifest, dict):
        raise ArtifactError(f"{path} holds {type(manifest).__name__}, not a manifest; train and save again")
    return manifest
