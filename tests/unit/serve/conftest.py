"""Recommenders in folders, one that behaves as told, and a log that keeps what it is given in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import StoreError
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.prepared import PreparedRecommender
from prompt_oirl.records import Query
from prompt_oirl.serve.active import ActiveRecommender, LoadedRecommender
from prompt_oirl.serve.app import make_app
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.protocols import LogState
from prompt_oirl.serve.settings import ServeSettings
from prompt_oirl.testing import SyntheticWorld

ADDRESS = "http://127.0.0.1:8080"


@dataclass
class MemoryLog:
    """A decision log in memory, whose store can be down."""

    decisions: list[Decision] = field(default_factory=list)
    feedbacks: list[Feedback] = field(default_factory=list)
    is_down: bool = False
    n_dropped: int = 0
    n_waiting: int = 0
    state: LogState = field(default_factory=LogState)

    def record(self, decision: Decision) -> None:
        self.decisions.append(decision)

    async def give_feedback(self, feedback: Feedback) -> bool:
        if self.is_down:
            raise StoreError("postgresql://somewhere/secret-database: connection refused")
        is_known = any(each.id == feedback.decision_id for each in self.decisions)
        if is_known:
            self.feedbacks.append(feedback)
        return is_known

    async def recent(self, limit: int = 50) -> Sequence[tuple[Decision, float | None]]:
        return [(each, None) for each in self.decisions[::-1][:limit]]


class Behaving(PreparedRecommender):
    """Recommends as another one does, after `before` has been called with the query."""

    def __init__(self, recommender: Recommender, before: Callable[[str], object], *, is_quick: bool = True) -> None:
        super().__init__(recommender)
        self.is_quick = is_quick
        self._before = before

    def scores_of(self, queries: Sequence[Query]) -> FloatArray:
        for query in queries:
            self._before(query.text)
        return super().scores_of(queries)


@dataclass
class Answer:
    """What an ASGI application sent."""

    sent: list[Message]

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


async def _ask(
    application: ASGIApp,
    path: str = "/",
    *,
    type: str = "http",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    parts: Iterable[bytes] = (b"",),
) -> Answer:
    """Call an application as a server does, with a body that comes in parts."""
    parts = list(parts)
    coming: Iterator[Message] = iter(
        [{"type": "http.request", "body": part, "more_body": n < len(parts)} for n, part in enumerate(parts, 1)]
    )
    sent: list[Message] = []

    async def receive() -> Message:
        return next(coming, {"type": f"{type}.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": type,
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
    }
    await application(scope | ({"method": method} if type == "http" else {}), receive, send)
    return Answer(sent)


@pytest.fixture
def ask() -> Callable[..., object]:
    """Calls an ASGI application as a server does."""
    return _ask


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with one_blas_thread():
        yield


def _fitted(seed: int) -> Recommender:
    recommender = Recommender().fit(SyntheticWorld(n_queries=320, interaction=3, seed=seed).demonstrations)
    assert recommender.selection_.pays
    return recommender


@pytest.fixture(scope="session")
def recommender_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved recommender that chooses among six prompts by query; tests must not change it."""
    folder = tmp_path_factory.mktemp("served") / "recommender"
    _fitted(2).save(folder)
    return folder


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, of another version."""
    folder = tmp_path_factory.mktemp("served") / "recommender"
    _fitted(3).save(folder)
    return folder


@pytest.fixture(scope="session")
def loaded(recommender_folder: Path) -> LoadedRecommender:
    return LoadedRecommender.load(recommender_folder)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def active(recommender_folder: Path, loaded: LoadedRecommender) -> ActiveRecommender:
    return ActiveRecommender(recommender_folder, loaded)


@pytest.fixture
def make_behaving(recommender_folder: Path, loaded: LoadedRecommender) -> Callable[..., ActiveRecommender]:
    """Returns a recommender that calls a function with each query before it recommends."""

    def make(before: Callable[[str], object], *, is_quick: bool = True) -> ActiveRecommender:
        behaving = Behaving(loaded.recommender, before, is_quick=is_quick)
        return ActiveRecommender(recommender_folder, dataclasses.replace(loaded, prepared=behaving))

    return make


@pytest.fixture
def make_client(active: ActiveRecommender, log: MemoryLog) -> Iterator[Callable[..., TestClient]]:
    """Returns a client of a service with these settings, that runs until the test ends."""
    clients: list[TestClient] = []

    def make(
        *, active: ActiveRecommender = active, log: MemoryLog | None = log, raises: bool = True, **settings: object
    ) -> TestClient:
        app = make_app(active, ServeSettings(playground=False, **settings), log=log)  # type: ignore[arg-type]
        client = TestClient(app, base_url=ADDRESS, raise_server_exceptions=raises)
        clients.append(client)
        return client.__enter__()

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """Of a service with the default settings."""
    return make_client()
