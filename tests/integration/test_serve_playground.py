"""The playground in a real headless Chromium, against a real server on loopback."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import StoreError
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Prompt
from prompt_oirl.serve.active import ActiveRecommender
from prompt_oirl.serve.app import make_app
from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.decisions.log import StoredDecisionLog
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.serve.protocols import DecisionLog
from prompt_oirl.serve.settings import ServeSettings
from prompt_oirl.testing import SimulatedLLM, SyntheticWorld

uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'prompt-oirl[serve]'")
pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'prompt-oirl[playground]'")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

TOKEN = "planted-token-3fb1"
ANSWER = "Seven. <b>Not bold</b> & <script>document.title='taken'</script>"
EVIL = (
    "</textarea><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> {{7*7}} {% x %} "
    "' \" & \u202egnp.exe\u202c \x07 " + "long" * 500
)
WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    address: str
    log: DecisionLog | None
    loop: asyncio.AbstractEventLoop

    def recent(self) -> Sequence[tuple[Decision, float | None]]:
        assert self.log is not None
        return asyncio.run_coroutine_threadsafe(self.log.recent(), self.loop).result(30)

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """A request without a browser."""
        place = urlsplit(self.address)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        try:
            sent = {"content-type": "application/json"} if body is not None else {}
            connection.request(method, path, None if body is None else json.dumps(body), sent | (headers or {}))
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    @property
    def own_page(self) -> dict[str, str]:
        return {"origin": self.address}


@contextmanager
def running(
    folder: Path, store: Path | None = None, log: DecisionLog | None = None, **settings: Any
) -> Iterator[Service]:
    """Serve a recommender from a thread."""
    with ExitStack() as stack:
        if store is not None:
            log = StoredDecisionLog(stack.enter_context(DecisionStore.open(f"sqlite:///{store}")))
        app = make_app(ActiveRecommender.load(folder), ServeSettings(port=0, **settings), log=log)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()))
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started:
                assert thread.is_alive(), "the server has ended"
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Service(f"http://127.0.0.1:{port}", log, loop)
        finally:
            server.should_exit = True
            thread.join(30)
            loop.close()


def many_prompts(n: int) -> Demonstrations:
    """Logs of `n` prompts, some with long names, none of them worth choosing by query."""
    rng = np.random.default_rng(0)
    queries = SyntheticWorld(n_queries=120).queries
    prompts = [Prompt.from_text(f"Wording {i}.", id=f"prompt-{i}" + "-with-a-long-name" * (i % 3)) for i in range(n)]
    prompts[1] = Prompt.from_text("<b>Bold</b> wording.", id="<i>slanted</i>")
    trials = np.ones((len(queries), n), dtype=np.int64)
    successes = (rng.random(trials.shape) < 0.6).astype(np.int64)
    return Demonstrations(queries, tuple(prompts), trials, successes, np.zeros_like(trials))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved recommenders by name."""
    root = tmp_path_factory.mktemp("recommenders")
    logs = {
        "six": SyntheticWorld(n_queries=600).demonstrations,
        "two": SyntheticWorld(n_queries=200).demonstrations.select_prompts([0, 4]),
        "hundred": many_prompts(100),
    }
    for name, demonstrations in logs.items():
        Recommender(n_folds=3).fit(demonstrations).save(root / name)
    return {name: root / name for name in logs}


@pytest.fixture(scope="module")
def service(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Six prompts, a log, an upstream."""
    store = tmp_path_factory.mktemp("store") / "decisions.db"
    with (
        SimulatedLLM([lambda _: ANSWER]) as llm,
        running(folders["six"], store, upstream=llm.base_url, log_queries=True, budget_seconds=10.0) as service,
    ):
        yield service


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield browser
        browser.close()


@dataclass
class Browser:
    """One page, with all that it asked for and said."""

    page: Any
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("console", lambda line: self.said.append(line.text) if line.type in ("error", "warning") else None)

    def try_query(self, query: str) -> None:
        self.page.get_by_label("Query", exact=True).fill(query)
        self.page.get_by_label("Query", exact=True).press("Control+Enter")
        self.page.get_by_role("heading", name="Scores").wait_for()

    def overflow(self) -> int:
        """Pixels that the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))


Opens = Callable[..., Browser]


@pytest.fixture
def opened(chromium: Any) -> Iterator[Opens]:
    """Opens a page at one of the widths; in the end nothing may have been asked elsewhere, nor any error said."""
    with ExitStack() as stack:
        browsers: list[tuple[Browser, str]] = []

        def open_page(address: str, width: str = "desktop", scheme: str = "light", path: str = "/") -> Browser:
            size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
            context = chromium.new_context(viewport=size, color_scheme=scheme)
            stack.callback(context.close)
            browser = Browser(context.new_page())
            browser.watch()
            browser.page.goto(address + path)
            browsers.append((browser, address))
            return browser

        yield open_page
        for browser, address in browsers:
            assert browser.asked
            assert [url for url in browser.asked if not url.startswith(f"{address}/")] == []
            assert browser.said == []


def query_of(number: int) -> str:
    return SyntheticWorld(n_queries=600).queries[number].text


def hush(browser: Browser, status: int) -> None:
    """Expect that the browser has complained of one answer with this status, and of nothing else."""
    assert [line for line in browser.said if f"status of {status}" not in line] == []
    assert browser.said
    browser.said.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_typed_query_gives_choice_chart_reason_and_nearest_queries(
    service: Service, opened: Opens, tmp_path: Path, width: str, scheme: str
) -> None:
    browser = opened(service.address, width, scheme)
    page = browser.page
    browser.try_query(query_of(3))
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)  # to be looked at, with --basetemp

    decision, reward = service.recent()[0]
    assert (decision.source, decision.query, reward) == ("playground", query_of(3), None)
    assert page.locator("#chosen-heading .name").inner_text() == decision.prompt_id
    assert page.locator(".scores > li").count() == 6
    assert page.locator(".scores > li.chosen .name").inner_text() == decision.prompt_id
    assert page.locator(".scores > li", has_text="best single").count() == 1
    scores = [float(text.replace("−", "-")) for text in page.locator(".scores .score").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    assert page.locator(".scores > li.chosen .score").inner_text().replace("−", "-") == f"{decision.score:.3f}"
    assert page.locator("#choice p").first.inner_text().endswith(".")
    assert query_of(3) in page.get_by_label("Message of the user").inner_text()
    assert page.locator(".nearest > li").count() == 5
    assert "/1" in page.locator(".nearest .outcomes").first.inner_text()
    assert decision.prompt_id in page.locator("#announcement[role=status]").inner_text()
    assert browser.overflow() <= 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("name", "n_shown"), [("two", 2), ("hundred", 12)])
def test_the_chart_is_usable_for_few_and_for_many_prompts(
    folders: dict[str, Path], opened: Opens, name: str, n_shown: int, width: str
) -> None:
    with running(folders[name], budget_seconds=10.0) as service:
        browser = opened(service.address, width)
        page = browser.page
        browser.try_query(query_of(3))
        bars = page.locator(".scores > li")
        assert sum(bar.is_visible() for bar in bars.all()) in (n_shown, n_shown + 1)
        widths = [bar.bounding_box()["width"] for bar in page.locator(".scores .value").all()[:n_shown]]
        assert max(widths) > 100
        assert widths == sorted(widths, reverse=True)
        if name == "hundred":
            page.locator("summary").click()
            assert all(bar.is_visible() for bar in bars.all())
            assert bars.count() == 100
        assert browser.overflow() <= 0

        page.get_by_role("tab", name="Decisions and data").click()
        page.get_by_text("it was started without a store").wait_for()
        page.get_by_role("heading", name="Clusters of queries").wait_for()
        if name == "hundred":
            page.get_by_role("button", name="more prompts").click()
            assert page.get_by_text("<i>slanted</i>", exact=True).last.is_visible()
        assert browser.overflow() <= 0


def test_everything_can_be_done_with_the_keyboard(service: Service, opened: Opens) -> None:
    page = opened(service.address).page
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Try a query"
    page.keyboard.press("ArrowRight")
    assert focused.inner_text() == "Decisions and data"
    assert focused.get_attribute("aria-selected") == "true"
    assert focused.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    assert page.get_by_role("tabpanel", name="Decisions and data").is_visible()
    assert not page.get_by_label("Query", exact=True).is_visible()
    for key, name in (("ArrowRight", "Try a query"), ("End", "Decisions and data"), ("Home", "Try a query")):
        page.keyboard.press(key)
        assert focused.inner_text() == name

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(query_of(5))
    page.keyboard.press("Control+Enter")
    page.get_by_role("heading", name="Scores").wait_for()
    for _ in range(10):
        page.keyboard.press("Tab")
        if focused.get_attribute("name") == "reward":
            break
    page.keyboard.press("Enter")
    page.get_by_text("Thank you").wait_for()
    decision, reward = service.recent()[0]
    assert (decision.query, reward) == (query_of(5), 1.0)


def test_feedback_arrives_in_the_log_and_the_last_counts(service: Service, opened: Opens) -> None:
    page = opened(service.address).page
    page.get_by_label("Query", exact=True).fill(query_of(7))
    page.get_by_role("button", name="Choose a prompt").click()
    page.get_by_role("button", name="Thumbs up").click()
    page.get_by_text("Thank you").wait_for()
    assert service.recent()[0][1] == 1.0
    page.get_by_role("button", name="Thumbs down").click()
    page.locator("[aria-pressed=true]", has_text="No").wait_for()
    assert service.recent()[0][1] == 0.0

    page.get_by_role("tab", name="Decisions and data").click()
    row = page.locator("table.decisions tbody tr").first
    row.wait_for()
    cells = row.locator("td").all_inner_texts()
    assert cells[0].strip()[:100] == query_of(7)[:100]
    assert cells[-1] == "0"
    assert "feedback" in service.ask("GET", "/metrics")[2]


def test_the_upstream_is_asked_through_the_service(service: Service, opened: Opens) -> None:
    page = opened(service.address).page
    page.get_by_label("Query", exact=True).fill(query_of(8))
    page.get_by_role("button", name="Choose a prompt").click()
    page.locator("#model[value=simulated-llm]").wait_for()
    page.get_by_role("button", name="Ask the LLM").click()
    page.get_by_label("Answer of the LLM").wait_for()
    assert page.get_by_label("Answer of the LLM").inner_text() == ANSWER
    assert page.title() == "Prompt-OIRL playground"

    page.get_by_label("Model").fill("another")
    page.get_by_role("button", name="Ask the LLM").click()
    page.locator("#answer .problem", has_text="The upstream answered with status 404").wait_for()


def test_html_and_templates_in_a_query_are_shown_as_text(service: Service, opened: Opens) -> None:
    browser = opened(service.address, "phone")
    page = browser.page
    browser.try_query(EVIL)
    shown = page.get_by_label("Message of the user").text_content()
    assert EVIL in shown
    assert browser.overflow() <= 0
    page.get_by_role("tab", name="Decisions and data").click()
    page.locator("table.decisions").wait_for()
    assert "<script>" in page.locator("table.decisions tbody tr").first.inner_text()
    page.get_by_role("heading", name="Clusters of queries").wait_for()
    assert page.locator("img").count() == 0
    assert page.title() == "Prompt-OIRL playground"
    assert browser.overflow() <= 0


def test_a_refused_query_says_why(service: Service, opened: Opens) -> None:
    browser = opened(service.address)
    page = browser.page
    page.get_by_label("Query", exact=True).fill("   ")
    page.get_by_role("button", name="Choose a prompt").click()
    page.locator("#query-problem", has_text="non-empty").wait_for()
    hush(browser, 422)
    n_decisions = len(service.recent())
    answer = service.ask("POST", "/playground/decide", {"query": "x" * 20_001}, service.own_page)
    assert answer[0] == 413
    assert len(service.recent()) == n_decisions


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_and_fields_have_names(
    service: Service, opened: Opens, scheme: str, contrasts_on: Callable[[Any], list[tuple[float, str]]]
) -> None:
    browser = opened(service.address, scheme=scheme)
    page = browser.page
    browser.try_query(query_of(3))
    contrasts = contrasts_on(page)
    page.get_by_role("tab", name="Decisions and data").click()
    page.get_by_role("heading", name="Clusters of queries").wait_for()
    contrasts += contrasts_on(page)
    assert len(contrasts) > 100
    assert [each for each in contrasts if each[0] < 4.5] == []
    backgrounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (backgrounds == "rgb(246, 247, 249)") == (scheme == "light")

    page.get_by_role("tab", name="Try a query").click()
    for role in ("textbox", "combobox", "button", "tab", "tabpanel"):
        each = page.get_by_role(role)
        named = page.get_by_role(role, name=re.compile(r"\w"))
        assert each.count() == named.count() > 0, role


def test_a_service_with_a_token_asks_for_it_once(folders: dict[str, Path], opened: Opens) -> None:
    with running(folders["two"], token=TOKEN, budget_seconds=10.0) as service:
        browser = opened(service.address)
        page = browser.page
        assert page.url.endswith("/playground/sign-in")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("this is not the service's token").wait_for()
        hush(browser, 401)
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Query", exact=True).wait_for()
        browser.try_query(query_of(3))
        (cookie,) = page.context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert TOKEN not in str(cookie)
        assert TOKEN not in page.content()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Token").wait_for()
        assert page.context.cookies() == []


PRIVATE = [
    ("GET", "/playground/decisions", None),
    ("GET", "/playground/training", None),
    ("GET", "/playground/models", None),
    ("POST", "/playground/decide", {"query": "Tom has 3."}),
    ("POST", "/playground/feedback", {"decision_id": "0" * 32, "reward": 1}),
    ("POST", "/playground/ask", {"query": "Tom has 3.", "prompt_id": "check", "model": "m"}),
]


@pytest.fixture(scope="module")
def private_service(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With a token."""
    with running(folders["two"], tmp_path_factory.mktemp("private") / "decisions.db", token=TOKEN) as service:
        yield service


@pytest.mark.parametrize(("method", "path", "body"), PRIVATE)
def test_nothing_is_answered_to_who_has_not_signed_in(
    private_service: Service, method: str, path: str, body: object
) -> None:
    forged = (None, "", "x", "99999999999.", f"99999999999.{'0' * 64}", TOKEN, f"99999999999.{TOKEN}")
    for cookie in forged:
        headers = private_service.own_page | ({} if cookie is None else {"cookie": f"prompt_oirl_playground={cookie}"})
        assert private_service.ask(method, path, body, headers)[0] == 401
    assert private_service.recent() == []


@pytest.mark.parametrize(("method", "path", "body"), [each for each in PRIVATE if each[0] == "POST"])
@pytest.mark.parametrize("headers", [{}, {"origin": "https://elsewhere.example"}, {"origin": "null"}])
def test_another_sites_page_is_refused(
    private_service: Service, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    _, given, _ = private_service.ask("POST", "/playground/sign-in", {"token": TOKEN}, private_service.own_page)
    cookie = {"cookie": given["set-cookie"].partition(";")[0]}
    assert private_service.ask(method, path, body, cookie | headers)[0] == 403
    assert private_service.ask(method, path, body, cookie | private_service.own_page)[0] in (200, 404)


def test_the_page_needs_nothing_from_elsewhere_and_leaves_the_api_alone(service: Service) -> None:
    status, headers, page = service.ask("GET", "/")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert "//" not in page.replace("<!doctype html>", "")
    for path in ("/playground/static/page.js", "/playground/static/page.css"):
        assert "http" not in service.ask("GET", path)[2]
    for method, path, status in (("GET", "/v1/nothing", 404), ("POST", "/v1/prompts", 405), ("GET", "/healthz", 200)):
        answer = service.ask(method, path)
        assert answer[0] == status
        assert answer[1]["content-type"].startswith("application/json")
    assert "/playground" not in service.ask("GET", "/openapi.json")[2]


def test_two_services_in_one_process_have_pages_of_their_own(
    service: Service, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running(folders["hundred"]) as other:
        assert " 100 prompts." in other.ask("GET", "/")[2]
        assert " 6 prompts." in service.ask("GET", "/")[2]
    assert list(tmp_path.iterdir()) == []


def test_without_logs_in_the_folder_the_page_shows_what_there_is(
    folders: dict[str, Path], opened: Opens, tmp_path: Path
) -> None:
    Recommender.load(folders["six"]).save(tmp_path / "bare", with_demonstrations=False)
    with running(tmp_path / "bare", budget_seconds=10.0) as service:
        browser = opened(service.address)
        browser.try_query(query_of(3))
        assert browser.page.locator(".scores > li").count() == 6
        assert browser.page.get_by_text("Nearest logged queries").count() == 0
        assert browser.page.get_by_role("button", name="Thumbs up").count() == 0
        assert browser.page.get_by_role("button", name="Ask the LLM").count() == 0
        browser.page.get_by_role("tab", name="Decisions and data").click()
        browser.page.get_by_text("holds no logs").wait_for()
        assert browser.page.locator("#training tbody tr").count() == 6


class DownLog:
    """Of a store that is down."""

    n_dropped = n_waiting = 0

    def record(self, decision: Decision) -> None: ...

    async def give_feedback(self, feedback: object) -> bool:
        raise StoreError("postgresql://user:planted-password@host is down")

    async def recent(self, limit: int = 50) -> Sequence[tuple[Decision, float | None]]:
        raise StoreError("postgresql://user:planted-password@host is down")


def test_while_the_store_is_down_the_page_says_so_and_goes_on(folders: dict[str, Path], opened: Opens) -> None:
    with running(folders["two"], log=DownLog(), budget_seconds=10.0) as service:
        browser = opened(service.address)
        page = browser.page
        browser.try_query(query_of(3))
        page.get_by_role("button", name="Thumbs up").click()
        page.locator("#feedback-message", has_text="the store of decisions is down").wait_for()
        hush(browser, 503)
        page.get_by_role("tab", name="Decisions and data").click()
        page.get_by_text("cannot be read now").wait_for()
        assert "planted-password" not in page.content()


def test_what_could_not_be_scored_gets_the_best_single_prompt_and_no_chart(
    folders: dict[str, Path], opened: Opens
) -> None:
    with running(folders["six"], budget_seconds=1e-9) as service:
        page = opened(service.address).page
        page.get_by_label("Query", exact=True).fill(query_of(3))
        page.get_by_role("button", name="Choose a prompt").click()
        page.get_by_text("not in time, so the best single prompt").wait_for()
        assert page.locator(".badge", has_text="fallback").is_visible()
        assert page.locator(".scores").count() == 0


def test_an_upstream_that_is_down_is_said_to_be(folders: dict[str, Path], opened: Opens) -> None:
    with SimulatedLLM([lambda _: ANSWER]) as llm:
        address = llm.base_url
    with running(folders["two"], upstream=address, upstream_key="planted-key", budget_seconds=10.0) as service:
        browser = opened(service.address)
        page = browser.page
        browser.try_query(query_of(3))
        page.get_by_label("Model").fill("any")
        page.get_by_role("button", name="Ask the LLM").click()
        page.locator("#answer .problem", has_text="could not be reached").wait_for()
        assert "planted-key" not in page.content()
