"""The recommender in use: loaded, replaced whole, and kept where the new one does not verify."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import ArtifactError, ParameterError, UnseenPromptError
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.prepared import PreparedRecommender
from prompt_oirl.records import Query
from prompt_oirl.serve.active import ActiveRecommender, LoadedRecommender


@pytest.fixture
def folder(recommender_folder: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return Path(shutil.copytree(recommender_folder, tmp_path / "recommender"))


def replace(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


def damage(folder: Path) -> None:
    path = folder / "state.json"
    path.write_bytes(path.read_bytes()[:-1] + b" ")


def test_it_recommends_as_what_was_saved(folder: Path) -> None:
    active = ActiveRecommender.load(folder)
    query = "Tom has 3 apples and buys 4 more. How many has he?"
    assert active.prepared.recommend(query).prompt == Recommender.load(folder).recommend(query).prompt
    assert active.version == Recommender.load(folder).version
    assert active.folder == folder


def test_indices_are_those_of_the_prompts(loaded: LoadedRecommender) -> None:
    ids = [prompt.id for prompt in loaded.prepared.prompts]
    assert loaded.among(ids[::-1]) == list(range(len(ids)))[::-1]
    assert loaded.among([ids[2], ids[0], ids[2]]) == [2, 0]


def test_unknown_candidates_are_named_and_shortened(loaded: LoadedRecommender) -> None:
    with pytest.raises(UnseenPromptError, match=r"2 of the candidates.*'nobody'") as raised:
        loaded.among(["nobody", "x" * 10_000])
    assert len(str(raised.value)) < 500
    with pytest.raises(ParameterError, match="empty"):
        loaded.among([])


async def test_reload_takes_what_is_in_the_folder_now(folder: Path, other_folder: Path) -> None:
    active = ActiveRecommender.load(folder)
    before = active.loaded
    replace(folder, other_folder)
    assert active.loaded is before
    version = await active.reload()
    assert version == active.version == Recommender.load(other_folder).version != before.version
    assert active.prepared is active.loaded.prepared is not before.prepared


async def test_what_does_not_verify_is_refused_and_the_former_one_stays(folder: Path, other_folder: Path) -> None:
    active = ActiveRecommender.load(folder)
    before = active.loaded
    replace(folder, other_folder)
    damage(folder)
    with pytest.raises(ArtifactError, match=r"state\.json"):
        await active.reload()
    assert active.loaded is before
    shutil.rmtree(folder)
    with pytest.raises(ArtifactError):
        await active.reload()
    assert active.loaded is before
    assert active.prepared.recommend("How many are 2 and 3?").prompt in active.prepared.prompts
    shutil.copytree(other_folder, folder)
    assert await active.reload() != before.version


def test_a_folder_that_does_not_verify_is_not_loaded(folder: Path, tmp_path: Path) -> None:
    damage(folder)
    with pytest.raises(ArtifactError):
        ActiveRecommender.load(folder)
    with pytest.raises(ArtifactError, match=r"manifest\.json|no saved recommender"):
        ActiveRecommender.load(tmp_path / "nothing")


async def test_what_cannot_score_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    active = ActiveRecommender.load(folder)
    before = active.loaded

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the embedder is gone")

    monkeypatch.setattr(PreparedRecommender, "scores_of", fail)
    with pytest.raises(
        ArtifactError, match=r"cannot recommend: RuntimeError: the embedder is gone; install .*manifest"
    ):
        await active.reload()
    assert active.loaded is before


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyError("x"), TypeError("y"), ValueError("z")])
async def test_whatever_loading_raises_the_former_one_stays(
    folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = ActiveRecommender.load(folder)
    before = active.loaded

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(Recommender, "load", fail)
    with pytest.raises(ArtifactError, match=f"cannot be loaded .{type(error).__name__}"):
        await active.reload()
    assert active.loaded is before


async def test_followers_are_told_before_a_recommender_is_used(folder: Path, other_folder: Path) -> None:
    active = ActiveRecommender.load(folder)
    told: list[tuple[str, str]] = []
    active.follow(lambda loaded: told.append((loaded.version, active.version)))
    first = active.version
    replace(folder, other_folder)
    second = await active.reload()
    assert told == [(first, first), (second, first)]
    damage(folder)
    with pytest.raises(ArtifactError):
        await active.reload()
    assert len(told) == 2


async def test_reloading_does_not_hold_up_the_event_loop_and_is_done_one_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = ActiveRecommender.load(folder)
    under_way = most = n_ticks = 0
    load = LoadedRecommender.load

    def counting(path: Path) -> LoadedRecommender:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return load(path)
        finally:
            under_way -= 1

    monkeypatch.setattr(LoadedRecommender, "load", counting)
    reloading = asyncio.gather(*(active.reload() for _ in range(3)))
    while not reloading.done():
        await asyncio.sleep(0.001)
        n_ticks += 1
    assert await reloading == [active.version] * 3
    assert most == 1
    assert n_ticks > 3


def test_it_is_prepared_and_tried_out_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[PreparedRecommender] = []
    scores_of = PreparedRecommender.scores_of

    def noted(prepared: PreparedRecommender, queries: Sequence[Query]) -> FloatArray:
        tried.append(prepared)
        return scores_of(prepared, queries)

    monkeypatch.setattr(PreparedRecommender, "scores_of", noted)
    loaded = LoadedRecommender.load(folder)
    assert tried == [loaded.prepared] == [loaded.recommender.prepare()]


async def test_the_former_recommender_is_freed_without_a_garbage_collection(folder: Path) -> None:
    active = ActiveRecommender.load(folder)
    active.prepared.recommend("How many are 2 and 3?")
    former = weakref.ref(active.prepared), weakref.ref(active.loaded.recommender)
    gc.collect()
    gc.freeze()  # as the server does
    gc.disable()
    try:
        await active.reload()
        assert [each() for each in former] == [None, None]
    finally:
        gc.enable()
        gc.unfreeze()


async def test_the_log_says_which_version_replaced_which(
    folder: Path, other_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "prompt_oirl")
    active = ActiveRecommender.load(folder)
    first = active.version
    replace(folder, other_folder)
    second = await active.reload()
    damage(folder)
    with pytest.raises(ArtifactError):
        await active.reload()
    assert [each.levelname for each in caplog.records] == ["INFO", "ERROR"]
    assert caplog.messages[0] == f"reloaded: version {second} is in use, before it was {first}"
    assert caplog.messages[1].startswith(f"not reloaded, version {second} stays in use: ")
    assert "state.json" in caplog.messages[1]
