"""The report in a real headless Chromium, opened from disk as a user opens it, and its command."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.tabular import write_demonstrations
from prompt_oirl.testing import SyntheticWorld

pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'prompt-oirl[report]'")
pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'prompt-oirl[report]'")

WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
EVIL = (
    "=HYPERLINK(1)</td></figure><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
    "{{7*7}} {% x %} $\\alpha$ ' \" & \u202egnp.exe\u202c \x07 \x1b[31m "
)
SECTIONS = "gain headroom prompts calibration risk data-size audit cost portfolio left-out limits"


@dataclass(frozen=True)
class Made:
    """A report as the command wrote it."""

    page: Path

    @property
    def json(self) -> Any:
        return json.loads(self.page.with_suffix(".json").read_text(encoding="utf-8"))


def evil_logs() -> Demonstrations:
    """Logs whose texts would like to be more than texts; three prompts on 120 queries, asked twice."""
    rng = np.random.default_rng(0)
    queries = tuple(Query(f"{EVIL} {text.text}" * (8 if i == 0 else 1)) for i, text in enumerate(world(120).queries))
    prompts = (
        Prompt.from_text(EVIL, id=EVIL[:60]),
        Prompt.from_text("短く答えて。 " + "long" * 200, id="long-name-" * 12),
        Prompt.from_text("-2+3", id="=1+1"),
    )
    trials = np.full((len(queries), 3), 2)
    successes = rng.binomial(2, [0.6, 0.4, 0.55], size=trials.shape)
    return Demonstrations(queries, prompts, trials, successes, np.zeros_like(trials))


def world(n_queries: int) -> SyntheticWorld:
    return SyntheticWorld(n_queries=n_queries, repeats=2)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Reports by name, made by the command in this process."""
    from typer.testing import CliRunner

    from prompt_oirl.cli.app import app

    folder = tmp_path_factory.mktemp("reports")
    logs = {"world": world(300).demonstrations, "evil": evil_logs()}
    made = {}
    for name, demonstrations in logs.items():
        write_demonstrations(demonstrations, folder / f"{name}.parquet")
        page = folder / f"{name}.html"
        done = CliRunner().invoke(app, ["report", str(folder / f"{name}.parquet"), "-o", str(page)])
        assert done.exit_code == 0, done.output
        assert "Written:" in done.output
        made[name] = Made(page)
    return made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield browser
        browser.close()


Opens = Callable[..., Any]


@pytest.fixture
def opened(chromium: Any) -> Iterator[Opens]:
    """Opens a report; in the end nothing else may have been asked for, nor anything said on the console."""
    contexts, asked, said = [], [], []

    def open_page(made: Made, width: str = "desktop") -> Any:
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        contexts.append(chromium.new_context(viewport=size))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda line: said.append(line.text))
        page.goto(made.page.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert len([url for url in asked if url.startswith("file://")]) == len(contexts)
    assert said == []


def overflow(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("name", ["world", "evil"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_says_everything(
    reports: dict[str, Made], opened: Opens, name: str, width: str, tmp_path: Path
) -> None:
    page = opened(reports[name], width)
    page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)  # to be looked at, with --basetemp
    assert overflow(page) <= 0
    for summary in page.locator("summary").all():
        summary.click()
    assert overflow(page) <= 0
    assert page.locator("main section").evaluate_all("all => all.map(each => each.id)") == SECTIONS.split()
    verdict = reports[name].json["verdict"]
    assert page.locator("#verdict").inner_text().split() == verdict["text"].split()
    assert page.locator("#verdict").get_attribute("data-kind") == verdict["kind"]
    assert page.title().startswith(verdict["action"][:20])
    texts = page.locator("svg text")
    assert texts.count() > 20
    heights = texts.evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
    assert min(heights) >= 9, "texts in figures can be read"
    assert page.locator("img, script, iframe, object").count() == 0


@pytest.mark.parametrize("name", ["world", "evil"])
def test_every_csv_says_what_the_json_says(reports: dict[str, Made], opened: Opens, name: str) -> None:
    page, tables = opened(reports[name]), reports[name].json["tables"]
    links = page.locator("a.csv").evaluate_all("all => all.map(each => [each.download, each.getAttribute('href')])")
    assert [file.removesuffix(".csv") for file, _ in links] == list(tables)
    assert page.locator("svg.chart").count() >= 6
    for (_, href), rows in zip(links, tables.values(), strict=True):
        head, _, encoded = href.partition(",")
        assert head == "data:text/csv;charset=utf-8;base64"
        found = list(csv.DictReader(io.StringIO(base64.b64decode(encoded).decode(), newline="")))
        assert len(found) == len(rows)
        for cells, row in zip(found, rows, strict=True):
            assert cells.keys() == row.keys()
            for column, value in row.items():
                assert_same(cells[column], value)


def assert_same(cell: str, value: Any) -> None:
    if value is None:
        assert cell == ""
    elif isinstance(value, str):
        assert cell in (value, f"'{value}")
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    elif isinstance(value, bool):
        assert cell == str(value)
    else:
        assert float(cell) == value


def test_a_csv_can_be_downloaded(reports: dict[str, Made], opened: Opens, tmp_path: Path) -> None:
    page = opened(reports["world"])
    with page.expect_download() as download:
        page.locator("a.csv").first.click()
    assert download.value.suggested_filename == "gain.csv"
    download.value.save_as(tmp_path / "gain.csv")
    assert (tmp_path / "gain.csv").read_text(encoding="utf-8").startswith("way,gain,gain_low,gain_high,")


def test_it_prints(reports: dict[str, Made], opened: Opens, tmp_path: Path) -> None:
    page = opened(reports["world"])
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator("a.csv").first.is_visible()
    printed = page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert printed.startswith(b"%PDF")
    n_pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 3 <= n_pages <= 14
    narrow = "all => all.filter(each => each.scrollWidth > each.clientWidth + 1).length"
    page.set_viewport_size({"width": 680, "height": 960})  # A4 less its margins, at 96 dpi
    assert page.locator(".scroll").evaluate_all(narrow) == 0


def test_it_is_a_document_for_everyone(reports: dict[str, Made], opened: Opens) -> None:
    page = opened(reports["world"])
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for role in ("img", "link", "region", "navigation"):
        each = page.get_by_role(role)
        assert each.count() == page.get_by_role(role, name=re.compile(r"\w")).count() > 0, role
    ids = page.locator("[id]").evaluate_all("all => all.map(each => each.id)")
    assert len(set(ids)) == len(ids)
    targets = page.locator("nav a").evaluate_all("all => all.map(each => each.getAttribute('href').slice(1))")
    assert set(targets) <= set(ids)


def test_texts_have_contrast(
    reports: dict[str, Made], opened: Opens, contrasts_on: Callable[[Any], list[tuple[float, str]]]
) -> None:
    contrasts = contrasts_on(opened(reports["world"]))
    assert len(contrasts) > 150
    assert [each for each in contrasts if each[0] < 4.5] == []


def test_texts_of_users_stay_texts(reports: dict[str, Made], opened: Opens) -> None:
    page = opened(reports["evil"], "phone")
    assert "taken" not in page.title()
    for summary in page.locator("summary").all():
        summary.click()
    assert page.locator("#prompts").get_by_text("<script>").count() > 0
    source = reports["evil"].page.read_text(encoding="utf-8")
    assert "<script" not in source
    assert "<img" not in source
    beside = reports["evil"].page.with_suffix(".json").read_text(encoding="utf-8")
    assert not set(source + beside) & {chr(code) for code in (*range(9), *range(11, 32), 0x7F, 0x202E, 0x202C)}


def ended(*arguments: str) -> Any:
    from typer.testing import CliRunner

    from prompt_oirl.cli.app import app

    return CliRunner().invoke(app, ["report", *arguments])


def test_a_recommender_is_judged_on_what_it_has_not_seen(tmp_path: Path) -> None:
    train, test = world(300).demonstrations.split(test_size=0.4, seed=0)
    Recommender(n_folds=3).fit(train).save(tmp_path / "recommender")
    write_demonstrations(test, tmp_path / "test.jsonl")
    write_demonstrations(world(300).demonstrations, tmp_path / "all.jsonl")
    out, arguments = tmp_path / "report.html", ["--recommender", str(tmp_path / "recommender"), "--json"]

    done = ended(str(tmp_path / "test.jsonl"), "-o", str(out), *arguments)
    assert done.exit_code == 0, done.output
    of_test = Made(out).json["findings"]
    assert json.loads(done.stdout)["verdict"] == Made(out).json["verdict"]
    assert of_test["leakage"]["n_queries"] == test.n_queries
    assert "missing" in of_test["data_size"]
    assert of_test["gain"]["gain"]["n_queries"] <= test.n_queries

    refused = ended(str(tmp_path / "all.jsonl"), "-o", str(tmp_path / "refused.html"), *arguments)
    assert refused.exit_code == 1
    assert "--drop-seen" in str(refused.exception)
    assert not (tmp_path / "refused.html").exists()

    dropped = ended(str(tmp_path / "all.jsonl"), "-o", str(out), "--drop-seen", *arguments)
    assert dropped.exit_code == 0, dropped.output
    assert Made(out).json["findings"]["left_out"]["n_dropped_as_seen"] == train.n_queries
    assert Made(out).json["findings"]["gain"] == of_test["gain"]


def test_bad_orders_are_refused(tmp_path: Path) -> None:
    write_demonstrations(world(40).demonstrations, tmp_path / "logs.jsonl")
    assert "name it with --recommender" in str(ended(str(tmp_path / "logs.jsonl"), "--drop-seen").exception)
    out = ended(str(tmp_path / "logs.jsonl"), "-o", str(tmp_path / "report.pdf"))
    assert "ends in .html" in str(out.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["logs.jsonl"]


@pytest.mark.slow
@pytest.mark.real_logs
@pytest.mark.parametrize(
    ("dataset", "kinds", "headroom"),
    [
        ("mawps", {"pays", "not captured"}, "found"),
        ("svamp", {"pays", "not captured"}, "found"),
        ("gsm8k", {"one prompt", "needs repeats"}, "cannot be told"),
    ],
)
def test_the_released_logs_get_the_verdict_they_deserve(
    data_folder: Path, opened: Opens, tmp_path: Path, dataset: str, kinds: set[str], headroom: str
) -> None:
    from prompt_oirl.sources.release import Release

    logs = Release(data_folder).trials("llama-2-7b-chat", dataset).demonstrations(prompts=range(6))  # type: ignore[arg-type]
    write_demonstrations(logs, tmp_path / "logs.parquet")
    assert ended(str(tmp_path / "logs.parquet"), "-o", str(tmp_path / "report.html")).exit_code == 0
    made = Made(tmp_path / "report.html")
    assert made.json["verdict"]["kind"] in kinds
    found = made.json["findings"]["headroom"]
    assert found["verdict"] == headroom
    if headroom == "found":
        assert found["by_trials"]["low"] > 0
    assert made.page.stat().st_size < 8_000_000
    start = time.monotonic()
    opened(made)
    assert time.monotonic() - start < 10, "it opens in two seconds on a machine that has nothing else to do"
