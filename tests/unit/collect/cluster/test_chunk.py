from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.cluster.chunk import Chunk, Site, buy_chunk, check_site, portable
from prompt_oirl.collect.cluster.shards import read_shard
from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.errors import DataError, FileFormatError, LLMError, ParameterError, PromptOIRLError, StoreError
from prompt_oirl.records import Question
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.rows import StoredOutcome
from prompt_oirl.testing import Faults, SimulatedLLM, SyntheticWorld, WorldAnswerer

WORLD = SyntheticWorld(n_queries=4)
KEY = "planted-key-0123456789"


@pytest.fixture
def llm() -> Iterator[SimulatedLLM]:
    with SimulatedLLM([WorldAnswerer(WORLD)], key=KEY) as server:
        yield server


@pytest.fixture
def chunk(llm: SimulatedLLM, monkeypatch: pytest.MonkeyPatch) -> Chunk:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    configuration = RunConfiguration(llm.model, llm.base_url)
    grid = Grid(tuple(Question(query) for query in WORLD.queries), WORLD.prompts, 1, configuration)
    return Chunk(
        name="chunk",
        site=Site(configuration, ClientSettings(max_attempts=1)),
        cells=tuple(map(grid.cell, range(len(grid)))),
        tokens=(10,) * len(grid),
        queries=WORLD.queries,
        prompts=WORLD.prompts,
        concurrency=4,
        start=4,
    )


def results_of(shard: bytes) -> list[StoredOutcome]:
    return read_shard(shard)[1]


def test_a_chunk_gives_back_an_outcome_of_each_cell(chunk: Chunk, llm: SimulatedLLM) -> None:
    bought = buy_chunk(chunk)
    results = results_of(bought.shard)
    assert bought.error is None
    assert {each.cell for each in results} == set(chunk.cells)
    assert set(llm.counts.received.values()) == {1}
    assert llm.most_in_flight <= 4


def test_a_chunk_can_be_sent_and_holds_no_key(chunk: Chunk) -> None:
    sent = pickle.dumps(chunk)
    assert pickle.loads(sent) == chunk
    assert KEY.encode() not in sent


def test_an_error_comes_back_with_what_was_bought_before(
    chunk: Chunk, llm: SimulatedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another-key-0123456789")
    bought = buy_chunk(chunk)
    assert isinstance(bought.error, LLMError)
    assert "401" in str(bought.error)
    assert "another-key-0123456789" not in str(bought.error)
    assert not results_of(bought.shard)


def test_it_ends_soon_when_it_is_no_longer_wanted(chunk: Chunk, llm: SimulatedLLM) -> None:
    llm.faults = Faults(latency=0.4)
    bought = buy_chunk(chunk, is_wanted=lambda: llm.requests < 8)
    assert 8 <= len(results_of(bought.shard)) == llm.requests < len(chunk.cells)


@pytest.mark.parametrize("limits", [{"requests_per_minute": 1200}, {"tokens_per_minute": 12_000}])
def test_chunks_one_after_another_keep_the_rates(limits: dict[str, float], chunk: Chunk) -> None:
    """24 requests of 10 tokens; a fresh limit lets a second's worth of them pass at once."""
    site = replace(chunk.site, settings=replace(chunk.site.settings, **limits))
    started = time.monotonic()
    assert len(results_of(buy_chunk(replace(chunk, site=site)).shard)) == 24
    assert time.monotonic() - started >= 24 / 20


async def test_a_site_is_checked_without_a_call(
    chunk: Chunk, llm: SimulatedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await check_site(chunk.site) is None
    other = replace(chunk.site.configuration, model="another")
    assert "does not list" in str(await check_site(replace(chunk.site, configuration=other)))
    monkeypatch.setenv("OPENAI_API_KEY", "another-key-0123456789")
    with pytest.raises(LLMError, match="401"):
        await check_site(chunk.site)
    assert llm.requests == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LLMError("no"), LLMError),
        (StoreError("no"), StoreError),
        (ParameterError("no"), ParameterError),
        (DataError("no"), ParameterError),
        (FileFormatError("file", "no"), ParameterError),
    ],
)
def test_errors_travel_with_their_text_alone(error: PromptOIRLError, kind: type[PromptOIRLError]) -> None:
    error.__cause__ = ValueError("with a secret")
    arrived = pickle.loads(pickle.dumps(portable(error)))
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert arrived.__cause__ is None
