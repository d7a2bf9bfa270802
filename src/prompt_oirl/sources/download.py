"""Fetch the release and the question sets from their public repositories into a data folder.

Every file is pinned to a commit and a checksum. A file is checked before it gets its name, so what is there is whole;
files that are there and pass the check are not fetched again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pooch

from prompt_oirl.errors import ChecksumError, DownloadError, ParameterError
from prompt_oirl.files import atomic_path
from prompt_oirl.sources.data_folder import VARIABLE, cache_folder
from prompt_oirl.sources.upstream import UpstreamFile, digest_of, upstream_files

__all__ = ["BASE_URLS", "download"]

BASE_URLS = ("https://raw.githubusercontent.com",)

_N_CONNECTIONS = 4
_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 30
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def download(
    folder: Path | str | None = None,
    *,
    base_urls: Sequence[str] | None = None,
    only: Iterable[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    files: Sequence[UpstreamFile] | None = None,
    attempts: int = 4,
    pause_seconds: float = 1.0,
) -> Path:
    """Fetch the pinned files into a data folder and return it; a run that was stopped goes on where it was.

    Args:
        folder: The data folder to fill; the user cache by default.
        base_urls: Hosts that serve `{owner}/{repository}/{commit}/{path}`, tried in this order; GitHub by default.
        only: Patterns (`*`, `?`, `[…]`) of paths within the data folder, such as `prompt-oirl/critics/*`, of which a
            file must match one; all files by default.
        progress: Called after each file with the number of files that are there so far and that of all files.
        files: The files to fetch; the pinned list by default.
        attempts: How often a file is asked of each host before giving up, where the failure may pass.
        pause_seconds: Pause before the second attempt; it doubles with each further one.

    Raises:
        ChecksumError: What a host served is not the pinned file; nothing of it is kept.
        DownloadError: A file could not be fetched.
        ParameterError: No file matches `only`, or there is no host or attempt.
    """
    folder = cache_folder() if folder is None else Path(folder)
    hosts = BASE_URLS if base_urls is None else tuple(base_urls)
    if not hosts or attempts < 1:
        raise ParameterError(f"base_urls={hosts} and attempts={attempts}: at least one host and one attempt are needed")
    wanted = _select(upstream_files() if files is None else files, only)

    def provide(file: UpstreamFile) -> None:
        if not _is_there(folder, file):
            _store(folder, file, _fetch(file, hosts, attempts=attempts, pause_seconds=pause_seconds))

    with ThreadPoolExecutor(_N_CONNECTIONS) as connections:
        futures = [connections.submit(provide, file) for file in wanted]
        try:
            for n_done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress(n_done, len(wanted))
        finally:
            connections.shutdown(cancel_futures=True)
    return folder


def _select(files: Sequence[UpstreamFile], only: Iterable[str] | None) -> list[UpstreamFile]:
    if only is None:
        return list(files)
    patterns = list(only)
    wanted = [file for file in files if any(fnmatchcase(file.target, pattern) for pattern in patterns)]
    if not wanted:
        raise ParameterError(f"only={patterns} matches no file; a path is, for example, {files[0].target!r}")
    return wanted


def _is_there(folder: Path, file: UpstreamFile) -> bool:
    path = folder / file.target
    return path.is_file() and digest_of(path.read_bytes(), file.digest) == file.digest


def _store(folder: Path, file: UpstreamFile, content: bytes) -> None:
    found = digest_of(content, file.digest)
    if found != file.digest:
        raise ChecksumError(
            f"{file.target}: expected {file.digest}, found {found} ({len(content)} bytes); nothing of it was kept. "
            "Try again, or from another network: something between here and the host changes what is served"
        )
    with atomic_path(folder / file.target) as temporary:
        temporary.write_bytes(content)


def _fetch(file: UpstreamFile, hosts: Sequence[str], *, attempts: int, pause_seconds: float) -> bytes:
    """Return the content of a file from the first host that serves it."""
    problems = []
    for host in hosts:
        url = f"{host.rstrip('/')}/{quote(file.url_path)}"
        for attempt in range(attempts):
            try:
                return _get(url)
            except OSError as error:  # what requests raises for anything that goes wrong on the network
                problem = f"{url}: {error}"
                if not _may_pass(error):
                    break
            if attempt + 1 < attempts:
                time.sleep(pause_seconds * 2**attempt)
        problems.append(problem)
    raise DownloadError(
        f"{file.target} could not be fetched ({'; '.join(problems)}). What is there so far is kept, and the "
        f"next run goes on from it. Without a network, copy the data by hand and name their folder with `--data` "
        f"or {VARIABLE}"
    )


def _get(url: str) -> bytes:
    content = BytesIO()
    fetch = pooch.HTTPDownloader(chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_SECONDS)
    fetch(url, content, None)
    return content.getvalue()


def _may_pass(error: OSError) -> bool:
    """Return whether another attempt may succeed: a status that says so, or no answer at all."""
    response = getattr(error, "response", None)
    return response is None or response.status_code in _TRANSIENT_STATUS
