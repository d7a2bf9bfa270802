"""Servers in processes of their own: the service, an endpoint that does nothing, the upstream, other gateways."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

HERE = Path(__file__).resolve().parent
PROMPT_OIRL = Path(sys.executable).with_name("prompt-oirl")

_SECONDS_TO_STOP = 20.0
_BETWEEN_ASKING = 0.01
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    url: str
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    @property
    def mib(self) -> float:
        """Resident memory of the process and of its children."""
        return sum(_resident_kib(pid) for pid in _with_children(self.process.pid)) / 1024

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready: str,
    environment: Mapping[str, str] | None = None,
    seconds_to_start: float = 60.0,
) -> Iterator[Server]:
    """Run a server while the block runs.

    Args:
        command: `{port}` in it becomes a free port on loopback.
        ready: Path that is answered with status 200 as soon as the server is ready.
        environment: Added to this process' own.
        seconds_to_start: After which it is given up.

    Raises:
        SystemExit: It did not start; the message has what it said.
    """
    port = str(_free_port())
    filled = [str(part).replace("{port}", port) for part in command]
    start = time.perf_counter()
    with TemporaryFile() as said:
        process = subprocess.Popen(filled, stdout=said, stderr=said, env={**os.environ, **(environment or {})})
        try:
            while not _answers(f"http://127.0.0.1:{port}{ready}"):
                if process.poll() is not None or time.perf_counter() - start > seconds_to_start:
                    said.seek(0)
                    sys.exit(f"{' '.join(filled)} did not start:\n{said.read().decode(errors='replace')[-2000:]}")
                time.sleep(_BETWEEN_ASKING)
            yield Server(f"http://127.0.0.1:{port}", process, time.perf_counter() - start)
        finally:
            _stop(process)


@contextmanager
def upstream(*, latency: float = 0.0) -> Iterator[str]:
    """Run an upstream that costs next to nothing while the block runs, and yield its base URL."""
    command = [sys.executable, str(HERE / "upstream.py"), "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip() + "/v1"
        finally:
            process.stdin.close()


@contextmanager
def service(recommender: Path, *, store: Path, upstream: str | None = None) -> Iterator[Server]:
    """Serve a recommender as a user does, with a decision log in a SQLite file."""
    command: list[str | Path] = [PROMPT_OIRL, "serve", recommender, "--port", "{port}", "--store", f"sqlite:///{store}"]
    with running([*command, *(["--upstream", upstream] if upstream else [])], ready="/readyz") as server:
        yield server


@contextmanager
def empty_endpoint() -> Iterator[Server]:
    """Serve a FastAPI endpoint that does nothing, on the same kind of server."""
    with running([sys.executable, HERE / "empty_endpoint.py", "{port}"], ready="/readyz") as server:
        yield server


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(url, timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _with_children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in listed for each in _with_children(int(child)))]


def _resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
