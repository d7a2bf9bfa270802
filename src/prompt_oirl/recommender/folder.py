"""A recommender as a folder: a manifest, its state as JSON, its arrays, its demonstrations; no pickle, whole or not.

```
manifest.json            format version, sha256 of every other file, versions of what wrote it, a summary for people
state.json               parameters and fitted attributes of every part
arrays.npz               their arrays
demonstrations.parquet   the training demonstrations, where they may be kept
```
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError, DataError
from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.unseen_prompts import UnseenPrompts
from prompt_oirl.persistence import Arrays, pack, unpack
from prompt_oirl.policies import BestOfN, BestSinglePrompt
from prompt_oirl.recommender.manifest import MANIFEST, WAY_OUT, Manifest, read_manifest, write_manifest
from prompt_oirl.recommender.placing import put_in_place, remove_left_overs, temporary_beside
from prompt_oirl.records import Message, Prompt
from prompt_oirl.reward import saved_types
from prompt_oirl.selection import Contest, Selection

__all__ = ["SavedRecommender", "StoredDemonstrations", "load_folder", "save_folder", "version_of_state"]

_STATE, _ARRAYS, _DEMONSTRATIONS = "state.json", "arrays.npz", "demonstrations.parquet"
_NEEDED = {MANIFEST, _STATE, _ARRAYS}
_PARTS = (Prompt, Message, BestOfN, BestSinglePrompt, Selection, Contest, Estimate, UnseenPrompts)
_TYPES = {each.__name__: each for each in _PARTS}
_N_ATTEMPTS = 3
"""A folder that is replaced while it is read is read again."""


@dataclass(frozen=True)
class StoredDemonstrations:
    """Training demonstrations in a saved folder, read when they are asked for."""

    manifest: Manifest

    def read(self) -> Demonstrations:
        """Read them.

        Raises:
            ArtifactError: The file is missing, was changed, or cannot be read.
        """
        from prompt_oirl.sources.tabular import read_demonstrations  # pyarrow takes longer to import than all else here

        self.manifest.verified(_DEMONSTRATIONS)
        try:
            return read_demonstrations(self.manifest.folder / _DEMONSTRATIONS)
        except DataError as error:
            raise ArtifactError(f"{error}{_written_with(self.manifest, 'pyarrow')}") from error


@dataclass(frozen=True)
class SavedRecommender:
    """What a folder holds."""

    state: Any
    version: str
    demonstrations: StoredDemonstrations | None
    """None where they were not kept."""


def save_folder(
    folder: Path,
    state: Any,
    summary: Mapping[str, Any],
    *,
    demonstrations: Demonstrations | None = None,
    overwrite: bool = False,
) -> None:
    """Write a state of known types to a folder, with a manifest.

    Args:
        folder: What to make.
        state: Nested values of types that may be saved.
        summary: What the manifest says of it, for people.
        demonstrations: Kept beside it, if given.
        overwrite: Replace a recommender that is there already; nothing else is ever replaced.

    Raises:
        ArtifactError: Something is there already, or a part is of a type that cannot be saved.
    """
    _check_free(folder, overwrite=overwrite)
    tree, arrays = pack(state, _TYPES | saved_types())
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(folder)
    try:
        temporary.mkdir()
        names = _write_files(temporary, tree, arrays, demonstrations)
        write_manifest(temporary, names, summary)
        put_in_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    remove_left_overs(folder)


def _write_files(folder: Path, tree: Any, arrays: Arrays, demonstrations: Demonstrations | None) -> list[str]:
    (folder / _STATE).write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    np.savez_compressed(folder / _ARRAYS, **arrays)  # type: ignore[arg-type]
    if demonstrations is None:
        return [_STATE, _ARRAYS]
    from prompt_oirl.sources.tabular import write_demonstrations  # see StoredDemonstrations.read

    write_demonstrations(demonstrations, folder / _DEMONSTRATIONS)
    return [_STATE, _ARRAYS, _DEMONSTRATIONS]


def _check_free(folder: Path, *, overwrite: bool) -> None:
    """Raise unless nothing is there, or a recommender that may be replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    is_recommender = names >= _NEEDED and names <= _NEEDED | {_DEMONSTRATIONS}
    if not (overwrite and is_recommender):
        way_out = "remove it, or allow it to be overwritten" if is_recommender else "name another folder"
        raise ArtifactError(f"{folder} exists and is not empty; {way_out}")


def load_folder(folder: Path) -> SavedRecommender:
    """Return what `save_folder` wrote, after checking every file that is read against the manifest.

    Raises:
        ArtifactError: The folder is missing or incomplete, a byte differs, its format version is another, or a library
            cannot read it.
    """
    for attempt in range(_N_ATTEMPTS):
        manifest = read_manifest(folder)
        try:
            return _load(manifest)
        except (ArtifactError, OSError):
            if attempt == _N_ATTEMPTS - 1 or not _was_replaced(manifest):
                raise
    raise AssertionError("the last attempt returns or raises")


def _was_replaced(manifest: Manifest) -> bool:
    try:
        return (manifest.folder / MANIFEST).read_bytes() != manifest.data
    except OSError:
        return False


def _load(manifest: Manifest) -> SavedRecommender:
    tree = _parsed(manifest)
    arrays = _arrays_of(manifest)
    has_demonstrations = manifest.lists(_DEMONSTRATIONS)
    if has_demonstrations:
        manifest.check_there(_DEMONSTRATIONS)
    try:
        state = unpack(tree, arrays, _TYPES | saved_types())
    except ArtifactError as error:
        raise ArtifactError(f"{manifest.folder}: {error}{_written_with(manifest, 'prompt-oirl')}") from error
    return SavedRecommender(state, manifest.version, StoredDemonstrations(manifest) if has_demonstrations else None)


def _parsed(manifest: Manifest) -> Any:
    try:
        return json.loads(manifest.verified(_STATE).decode())
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{manifest.folder / _STATE} is not JSON ({error}); {WAY_OUT}") from error


def _arrays_of(manifest: Manifest) -> Arrays:
    data = manifest.verified(_ARRAYS)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # zipfile, zlib and NumPy raise errors of a dozen types for what they do not understand
        raise ArtifactError(
            f"{manifest.folder / _ARRAYS} cannot be read by this NumPy {np.__version__}: {error}"
            f"{_written_with(manifest, 'numpy')}"
        ) from error


def _written_with(manifest: Manifest, package: str) -> str:
    """Return the end of a message: which version of a package wrote the folder, and which one is here."""
    wrote = manifest.versions.get(package, "unknown")
    return f" (written with {package} {wrote}, here is {version(package)}: install that one, or train and save again)"


def version_of_state(state: Any) -> str:
    """Return the first 12 hexadecimal digits of a hash of a state: what a recommender is known by that was not loaded.

    Raises:
        ArtifactError: A part is of a type that cannot be saved.
    """
    tree, arrays = pack(state, _TYPES | saved_types())
    digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]
