"""The files of the release and of the question sets that the readers use, each with its pinned checksum.

The list, `upstream.csv`, names origin, path, bytes and digest. A digest is `sha256:…`, or `blob:…`, git's own id of the
content, for files whose sha256 was not known when the list was made.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["ORIGINS", "Origin", "UpstreamFile", "digest_of", "upstream_files"]


@dataclass(frozen=True, slots=True)
class Origin:
    """A public repository at one commit."""

    repository: str
    """Owner and name on GitHub."""

    commit: str
    """The full commit id."""


ORIGINS: Mapping[str, Origin] = {
    "prompt-oirl": Origin("holarissun/Prompt-OIRL", "6455701d0aa71c77739969e9d25a3c79e2fad57a"),
    "SVAMP": Origin("arkilpatel/SVAMP", "689d7ccac74b9983a2ac7cc3b264f441b99e7c53"),
    "grade-school-math": Origin("openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c"),
}
"""The repositories by the name of their folder within a data folder. All three are under the MIT licence."""


@dataclass(frozen=True, slots=True)
class UpstreamFile:
    """One file of a repository."""

    origin: str
    """Name of the folder within a data folder; a key of `ORIGINS`."""

    path: str
    """Path within the repository."""

    n_bytes: int | None
    """Size, where it is known."""

    digest: str
    """`sha256:` and the sha256 of the content, or `blob:` and its git blob id, in hexadecimal."""

    @property
    def target(self) -> str:
        """Path within a data folder, with forward slashes."""
        return f"{self.origin}/{self.path}"

    @property
    def url_path(self) -> str:
        """Path below a host that serves raw files as GitHub does: repository, commit, path."""
        origin = ORIGINS[self.origin]
        return f"{origin.repository}/{origin.commit}/{self.path}"


def digest_of(content: bytes, like: str) -> str:
    """Return the digest of some bytes, of the kind of the digest `like`."""
    kind, _, _ = like.partition(":")
    if kind == "blob":
        blob = b"blob %d\0" % len(content) + content
        return f"blob:{hashlib.sha1(blob, usedforsecurity=False).hexdigest()}"
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@cache
def upstream_files() -> tuple[UpstreamFile, ...]:
    """Return the pinned files, in the order of the list."""
    text = files(__package__).joinpath("upstream.csv").read_text(encoding="utf-8")
    return tuple(
        UpstreamFile(row["origin"], row["path"], int(row["bytes"]) if row["bytes"] else None, row["digest"])
        for row in csv.DictReader(text.splitlines())
    )
