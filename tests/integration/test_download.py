"""`download` against a server on loopback that serves raw files as GitHub does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from prompt_oirl.errors import ChecksumError, DownloadError, ParameterError
from prompt_oirl.sources.download import BASE_URLS, download
from prompt_oirl.sources.release import Release
from prompt_oirl.sources.upstream import UpstreamFile, digest_of, upstream_files


@dataclass
class Host:
    """A server whose content and failures a test decides."""

    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    """Status codes to give first, by path; 0 breaks off in the middle of the content."""
    asked: Counter[str] = field(default_factory=Counter)

    def put(self, file: UpstreamFile, content: bytes) -> None:
        self.content[file.url_path] = content


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path).lstrip("/")
            host.asked[path] += 1
            failures = host.failures.get(path, [])
            status = failures.pop(0) if failures else (200 if path in host.content else 404)
            content = host.content.get(path, b"") if status in (0, 200) else b"an error page"
            self.send_response(status or 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if status else content[: len(content) // 2])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield host
    server.shutdown()
    thread.join()
    server.server_close()


def file_of(path: str, content: bytes, *, kind: str = "sha256", origin: str = "SVAMP") -> UpstreamFile:
    return UpstreamFile(origin, path, len(content), digest_of(content, f"{kind}:"))


CONTENTS = {"LICENSE": b"free\n", "data/a file.csv": b"a,b\r\n1,2\r\n", "data/b.npy": bytes(range(256)) * 999}
FILES = [file_of(path, content) for path, content in CONTENTS.items()]


@pytest.fixture
def served(host: Host) -> Host:
    for file in FILES:
        host.put(file, CONTENTS[file.path])
    return host


def found(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WHOLE = {f"SVAMP/{path}": content for path, content in CONTENTS.items()}


def test_files_come_whole_and_in_place(served: Host, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = download(
        tmp_path / "new", base_urls=[served.url + "/"], files=FILES, progress=lambda *step: seen.append(step)
    )
    assert folder == tmp_path / "new"
    assert found(folder) == WHOLE
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(served: Host, tmp_path: Path) -> None:
    download(tmp_path, base_urls=[served.url], files=FILES)
    (tmp_path / "SVAMP" / "data" / "b.npy").write_bytes(b"damaged")
    served.asked.clear()
    download(tmp_path, base_urls=[served.url], files=FILES)
    assert served.asked == {FILES[2].url_path: 1}
    assert found(tmp_path) == WHOLE


def test_git_blob_ids_verify_too(host: Host, tmp_path: Path) -> None:
    file = file_of("answers.txt", b"right", kind="blob")
    host.put(file, b"wrong")
    with pytest.raises(ChecksumError, match="blob:"):
        download(tmp_path, base_urls=[host.url], files=[file])
    host.put(file, b"right")
    download(tmp_path, base_urls=[host.url], files=[file])
    assert found(tmp_path) == {"SVAMP/answers.txt": b"right"}


def test_other_content_is_named_and_nothing_of_it_is_kept(served: Host, tmp_path: Path) -> None:
    served.put(FILES[2], b"other")
    with pytest.raises(ChecksumError) as caught:
        download(tmp_path, base_urls=[served.url], files=FILES[2:])
    message = str(caught.value)
    assert FILES[2].target in message
    assert FILES[2].digest in message
    assert digest_of(b"other", "sha256:") in message
    assert found(tmp_path) == {}


def test_other_content_leaves_a_former_file_as_it_was(served: Host, tmp_path: Path) -> None:
    path = tmp_path / "SVAMP" / "LICENSE"
    path.parent.mkdir()
    path.write_bytes(b"former")
    served.put(FILES[0], b"other")
    with pytest.raises(ChecksumError):
        download(tmp_path, base_urls=[served.url], files=FILES[:1])
    assert found(tmp_path) == {"SVAMP/LICENSE": b"former"}


@pytest.mark.parametrize("failure", [500, 503, 429, 0])
def test_failures_that_pass_are_tried_again(served: Host, tmp_path: Path, failure: int) -> None:
    served.failures[FILES[2].url_path] = [failure, failure]
    download(tmp_path, base_urls=[served.url], files=FILES, attempts=3, pause_seconds=0)
    assert served.asked[FILES[2].url_path] == 3
    assert found(tmp_path) == WHOLE


def test_failures_that_stay_are_not_tried_again(served: Host, tmp_path: Path) -> None:
    served.failures[FILES[0].url_path] = [404]
    with pytest.raises(DownloadError, match="404"):
        download(tmp_path, base_urls=[served.url], files=FILES[:1], pause_seconds=0)
    assert served.asked[FILES[0].url_path] == 1


def test_a_run_that_failed_goes_on_where_it_was(served: Host, tmp_path: Path) -> None:
    served.failures[FILES[2].url_path] = [500, 500]
    with pytest.raises(DownloadError):
        download(tmp_path, base_urls=[served.url], files=FILES, attempts=2, pause_seconds=0)
    kept = found(tmp_path)
    assert kept.items() <= WHOLE.items()
    assert "SVAMP/data/b.npy" not in kept
    served.asked.clear()
    download(tmp_path, base_urls=[served.url], files=FILES)
    assert set(served.asked) == {file.url_path for file in FILES if file.target not in kept}
    assert found(tmp_path) == WHOLE


def test_no_network_is_one_error_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download(tmp_path, base_urls=["http://127.0.0.1:9"], attempts=1)
    assert "--data" in str(caught.value)
    assert "PROMPT_OIRL_DATA" in str(caught.value)
    assert found(tmp_path) == {}


def test_the_next_host_serves_where_the_first_cannot(served: Host, tmp_path: Path) -> None:
    hosts = ["http://127.0.0.1:9", served.url]
    download(tmp_path, base_urls=hosts, files=FILES, attempts=1)
    assert found(tmp_path) == WHOLE


def test_only_some_files(served: Host, tmp_path: Path) -> None:
    download(tmp_path, base_urls=[served.url], files=FILES, only=["*/LICENSE", "SVAMP/data/*.csv"])
    assert set(found(tmp_path)) == {"SVAMP/LICENSE", "SVAMP/data/a file.csv"}


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="matches no file"):
        download(tmp_path, only=["nothing/*"])
    with pytest.raises(ParameterError, match="at least one host"):
        download(tmp_path, base_urls=[])
    with pytest.raises(ParameterError, match="attempt"):
        download(tmp_path, attempts=0)


def test_the_user_cache_is_filled_unless_told_otherwise(
    served: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    assert download(base_urls=[served.url], files=FILES) == tmp_path / "prompt-oirl" / "data"
    assert found(tmp_path / "prompt-oirl" / "data") == WHOLE


def test_github_is_asked_by_default() -> None:
    assert BASE_URLS == ("https://raw.githubusercontent.com",)


STEP_1 = "def main():\n    PROMPT_LIST = [{texts}]\n    ALIAS_LIST = [{aliases}]\n"
STEP_2 = "save_dict = {{}}\nsave_dict['prompts'] = [{texts}]\n"
ALIASES = ["nan", "CoT", "APE", "Dis", "ToT", "Decomp", *(f"gpt4_{i}" for i in range(10))]


@pytest.mark.real_logs
def test_a_downloaded_folder_is_a_data_folder(host: Host, tmp_path: Path, data_folder: Path) -> None:
    """The pinned files, from loopback: labels, questions and results; scripts of our own stand for the release's."""
    texts = [f"in the manner of {alias}" for alias in ALIASES]
    scripts = {
        "llama_exps/llama_step1_gen_offline.py": STEP_1.format(
            texts=", ".join(map(repr, texts)), aliases=", ".join(map(repr, ALIASES))
        ).encode(),
        "llama_exps/llama_step2_reorg_data.py": STEP_2.format(texts=", ".join(map(repr, texts[:6]))).encode(),
    }
    files = [file_of(path, content, origin="prompt-oirl") for path, content in scripts.items()]
    for file in files:
        host.put(file, scripts[file.path])
    wanted = ("/mawps/llama_mawps_corr_", "data/cv_mawps/", "ALL_mawps_10_llama")
    for file in upstream_files():
        if any(part in file.target for part in wanted):
            host.put(file, (data_folder / file.target).read_bytes())
            files.append(file)
    release = Release.find(download(tmp_path, base_urls=[host.url], files=files))
    trials = release.trials("llama-2-7b-chat", "mawps")
    assert trials.prompts[1].text == "in the manner of CoT"
    assert (trials.labels == Release(data_folder).trials("llama-2-7b-chat", "mawps").labels).all()
    assert release.selection_arrays("llama-2-7b-chat", "mawps").n_test == 1685
