"""The manifest of a saved recommender: what is in the folder, what wrote it, and what it rests on.

It ends in the sha256 of its other fields and is written in one way only, so that no byte of it can change unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from prompt_oirl.errors import ArtifactError
from prompt_oirl.files import sha256_of

__all__ = ["FORMAT_VERSION", "MANIFEST", "WAY_OUT", "Manifest", "read_manifest", "write_manifest"]

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
WAY_OUT = "copy the folder again, or train and save again"

_READABLE = (1, 2, FORMAT_VERSION)
"""Version 1 has no demonstrations, says nothing of unseen prompts, and its manifest has no checksum. In
both former ones the bound of the no-harm rule is not corrected for the number of contests, and there are no reliable
rates."""

_OWN_HASH = "manifest_sha256"
_PACKAGES = ("prompt-oirl", "numpy", "scipy", "scikit-learn", "lightgbm", "xgboost", "pyarrow", "fastembed")


@dataclass(frozen=True)
class Manifest:
    """A manifest that was checked."""

    folder: Path
    content: Mapping[str, Any]
    data: bytes
    """Of the file."""

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the file's sha256: what the recommender in this folder is known by."""
        return hashlib.sha256(self.data).hexdigest()[:12]

    @property
    def versions(self) -> dict[str, str]:
        """Return the version of each package that wrote the folder."""
        found = self.content.get("versions")
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def lists(self, name: str) -> bool:
        """Return whether the folder has a file of that name."""
        files = self.content.get("files")
        return isinstance(files, dict) and name in files

    def verified(self, name: str) -> bytes:
        """Return the bytes of a file of the folder.

        Raises:
            ArtifactError: It is missing, or is not what was saved.
        """
        path = self.folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: the folder is incomplete; {WAY_OUT}")
        data = path.read_bytes()
        found, expected = hashlib.sha256(data).hexdigest(), self._said_of(name, "sha256")
        if found != expected:
            raise ArtifactError(
                f"{path} has sha256 {found}, its manifest says {expected}: the file was changed or damaged; {WAY_OUT}"
            )
        return data

    def check_there(self, name: str) -> None:
        """Raise unless a file of the folder is there in its full length; its content is not read.

        Raises:
            ArtifactError: It is missing, cut off, or longer than it was.
        """
        path = self.folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: the folder is incomplete; {WAY_OUT}")
        found, expected = path.stat().st_size, self._said_of(name, "bytes")
        if found != expected:
            raise ArtifactError(f"{path} has {found} bytes, its manifest says {expected}: it was changed; {WAY_OUT}")

    def _said_of(self, name: str, what: str) -> object:
        try:
            said: object = self.content["files"][name][what]
        except (KeyError, TypeError):
            return None
        return said


def write_manifest(folder: Path, names: Iterable[str], summary: Mapping[str, Any]) -> None:
    """Write the manifest of the files that are in a folder.

    Args:
        folder: Where they are.
        names: Of the files.
        summary: What else the manifest says, for people.
    """
    content = {
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {
            name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size} for name in names
        },
        "versions": {"python": platform.python_version()} | _versions(),
        **summary,
    }
    (folder / MANIFEST).write_bytes(_rendered(content | {_OWN_HASH: _hash_of(content)}))


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _rendered(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def _hash_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_rendered(content)).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a folder.

    Raises:
        ArtifactError: There is none, it was changed, or its format version is another.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder} is no saved recommender: it has no {MANIFEST}; name a folder that `train` wrote")
    data = path.read_bytes()
    try:
        content = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON ({error}); {WAY_OUT}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} holds {type(content).__name__}, not a manifest; {WAY_OUT}")
    manifest = Manifest(folder, content, data)
    _check_version(manifest)
    if content["format_version"] > 1:
        _check_unchanged(path, content, data)
    return manifest


def _check_version(manifest: Manifest) -> None:
    found = manifest.content.get("format_version")
    if type(found) is int and found in _READABLE:
        return
    saved_by, here = manifest.versions.get("prompt-oirl"), version("prompt-oirl")
    way_out = f"install prompt-oirl {saved_by}, or a later one" if saved_by else "install a later prompt-oirl"
    raise ArtifactError(
        f"{manifest.folder} has format version {found!r}, this prompt-oirl {here} reads {_READABLE[0]} to "
        f"{_READABLE[-1]}; {way_out}, or train and save again"
    )


def _check_unchanged(path: Path, content: Mapping[str, Any], data: bytes) -> None:
    without = {name: value for name, value in content.items() if name != _OWN_HASH}
    expected, found = content.get(_OWN_HASH), _hash_of(without)
    if expected != found or _rendered(content) != data:
        raise ArtifactError(
            f"{path} has been changed: its fields have sha256 {found}, and it says {expected!r} of itself; {WAY_OUT}"
        )
