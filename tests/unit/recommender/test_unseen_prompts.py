"""Prompts that were not in training win where their wording was shown to tell how good they are, and nowhere else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.unseen_prompts import UnseenPrompts, can_score_unseen, validate_unseen
from prompt_oirl.policies import BestOfN
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.reward.calibration import CalibratedModel
from prompt_oirl.reward.joint import JointModel
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.selection import Candidate

KINDS = list(itertools.product((0, 1), repeat=3))
QUERY_WORDS = (("apples", "pears"), ("red", "blue"), ("Tom", "Ann"))
PROMPT_WORDS = (("slowly", "quickly"), ("aloud", "silently"), ("twice", "once"))


class Words(BaseEstimator):
    """Whether each of some words is in a text."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    def fit(self, texts: Sequence[str]) -> Words:
        return self

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[word in text.split() for word in self.words] for text in texts], dtype=np.float32)


def prompt_of(kind: tuple[int, ...]) -> Prompt:
    return Prompt.from_text("Think " + " ".join(PROMPT_WORDS[i][value] for i, value in enumerate(kind)), id=str(kind))


def logs(*, wording_tells: bool, prompts: Sequence[tuple[int, ...]] = KINDS, seed: int = 0) -> Demonstrations:
    """Each kind of query wants one kind of prompt: the same, or one that has nothing to do with the wording."""
    rng = np.random.default_rng(seed)
    wanted = {kind: kind for kind in KINDS}
    if not wording_tells:
        shuffled = np.random.default_rng(5).permutation(len(KINDS))
        wanted = {kind: KINDS[i] for kind, i in zip(KINDS, shuffled, strict=True)}
    asked = [KINDS[i] for i in rng.integers(8, size=480)]
    words = [" ".join(QUERY_WORDS[i][value] for i, value in enumerate(kind)) for kind in asked]
    queries = tuple(Query(f"{text} word{chr(97 + n % 26)}{chr(97 + n // 26)}") for n, text in enumerate(words))
    agree = np.array([[sum(a == b for a, b in zip(wanted[kind], p, strict=True)) for p in prompts] for kind in asked])
    probability = 0.05 + 0.3 * agree if wording_tells else np.where(agree == 3, 0.9, 0.3)
    trials = np.full(agree.shape, 4)
    return Demonstrations(queries, tuple(map(prompt_of, prompts)), trials, rng.binomial(4, probability), 0 * trials)


def joint(**parameters: object) -> JointModel:
    words = {"query_features": Words(sum(QUERY_WORDS, ())), "prompt_features": Words(sum(PROMPT_WORDS, ()))}
    settings = {"prompt_as_category": False, "n_rounds": 60, "learning_rate": 0.1, "min_leaf": 20}
    return JointModel(**words, **(settings | parameters))


def recommender(model: object) -> Recommender:
    return Recommender([Candidate("joint", model, (0.02,))], n_folds=3)


@pytest.fixture(scope="module")
def telling() -> Recommender:
    """Learnt from seven of the eight prompts, in a world where the wording tells."""
    return recommender(joint()).fit(logs(wording_tells=True, prompts=KINDS[:-1]))


@pytest.fixture(scope="module")
def silent() -> Recommender:
    return recommender(joint()).fit(logs(wording_tells=False, prompts=KINDS[:-1]))


WANTS_THE_LAST = " ".join(words[1] for words in QUERY_WORDS) + " wordzz"


def test_where_the_wording_tells_unseen_prompts_may_win(telling: Recommender) -> None:
    found = telling.unseen_prompts_
    assert telling.selection_.pays
    assert found.gain is not None
    assert found.low_over_prompts is not None
    assert found.may_win
    assert found.gain.low > 0
    assert found.low_over_prompts > 0
    assert [name for name, _ in found.gain_by_prompt] == [prompt.id for prompt in telling.prompts_]
    assert np.mean([gain for _, gain in found.gain_by_prompt]) == pytest.approx(found.gain.value, abs=0.005)


def test_the_unseen_prompt_wins_where_it_is_best_and_is_marked(telling: Recommender) -> None:
    unseen = prompt_of(KINDS[-1])
    found = telling.recommend(WANTS_THE_LAST, extra_prompts=[unseen])
    assert (found.prompt, found.is_seen) == (unseen, False)
    assert all(other.is_seen for other in found.runners_up)
    assert "not in training" in found.reason
    assert found.to_dict()["is_seen"] is False
    elsewhere = telling.recommend("apples red Tom", extra_prompts=[unseen])
    assert elsewhere.is_seen
    assert elsewhere.prompt == telling.recommend("apples red Tom").prompt
    marked = [other for other in elsewhere.runners_up if not other.is_seen]
    assert [other.prompt for other in marked] == [unseen]
    assert np.isfinite(marked[0].score)
    assert "is_seen" not in elsewhere.to_dict()


def test_what_is_truly_gained_is_about_what_was_measured(telling: Recommender) -> None:
    """On new queries, with the prompt that was in no log."""
    new = logs(wording_tells=True, seed=9)
    texts = [query.text for query in new.queries]
    without = telling.recommend_many(texts)
    offered = telling.recommend_many(texts, extra_prompts=[prompt_of(KINDS[-1])])
    columns = {prompt.id: i for i, prompt in enumerate(new.prompts)}
    gain = np.mean(
        [
            new.rewards[row, columns[a.prompt.id]] - new.rewards[row, columns[b.prompt.id]]
            for row, (a, b) in enumerate(zip(offered, without, strict=True))
        ]
    )
    assert 0.01 < gain < 0.08


def test_where_the_wording_tells_nothing_they_are_listed_and_cannot_win(silent: Recommender) -> None:
    evidence = silent.unseen_prompts_
    assert silent.selection_.pays
    assert evidence.gain is not None
    assert not evidence.may_win
    unseen = prompt_of(KINDS[-1])
    texts = [query.text for query in logs(wording_tells=False, seed=3).queries[:60]]
    plain = silent.recommend_many(texts)
    for before, found in zip(plain, silent.recommend_many(texts, extra_prompts=[unseen]), strict=True):
        assert (found.prompt, found.score) == (before.prompt, before.score)
        assert found.runners_up[:-1] == before.runners_up
        assert (found.runners_up[-1].prompt, found.runners_up[-1].is_seen) == (unseen, False)
        assert found.reason.startswith(before.reason)
        assert "cannot win: of 7 prompts left out in turn" in found.reason


def test_a_model_that_knows_its_prompts_only_lists_them_without_a_score(choosing: Recommender) -> None:
    assert not choosing.unseen_prompts_.may_win
    unseen = Prompt.from_text("New.", id="new")
    found = choosing.recommend("How many apples has Tom?", extra_prompts=[*choosing.prompts_, unseen])
    assert found.prompt == choosing.recommend("How many apples has Tom?").prompt
    assert np.isnan(found.runners_up[-1].score)
    assert found.to_dict()["runners_up"][-1] == {"prompt_id": "new", "score": None, "is_seen": False}
    assert "scores only the prompts that it was trained on" in found.reason
    json.dumps(found.to_dict(), allow_nan=False)


def test_where_one_prompt_serves_all_they_cannot_win(cautious: Recommender) -> None:
    found = cautious.recommend("How many?", extra_prompts=[Prompt.from_text("New.", id="new")])
    assert found.prompt.id == cautious.best_single_.prompt_id
    assert "cannot win: one prompt serves all queries" in found.reason


def test_which_models_can_score_them() -> None:
    assert can_score_unseen(joint())
    assert can_score_unseen(CalibratedModel(joint()))
    assert not can_score_unseen(joint(prompt_as_category=True))
    assert not can_score_unseen(CalibratedModel(KernelAdvantage()))
    assert not can_score_unseen(PromptMeans())


def validated(model: JointModel, demonstrations: Demonstrations) -> UnseenPrompts:
    settings = {"head_start": 0.02, "n_folds": 3, "confidence": 0.95, "seed": 0}
    return validate_unseen(model, demonstrations, by="template", **settings)


def test_two_prompts_are_too_few_to_say() -> None:
    found = validated(joint(), logs(wording_tells=True, prompts=KINDS[:2]))
    assert (found.gain, found.may_win) == (None, False)
    assert "too few" in found.reason


def test_what_cannot_be_tried_is_no_evidence_and_no_error() -> None:
    """A prompt that was tried on one query only has no trial in the fold that leaves this query out."""
    whole = logs(wording_tells=True, prompts=KINDS[:4])
    trials = whole.trials.copy()
    trials[1:, 2] = 0
    found = validated(joint(), replace(whole, trials=trials, successes=np.minimum(whole.successes, trials)))
    assert not found.may_win
    assert "could not be tried" in found.reason


@pytest.mark.parametrize(
    ("low", "over_prompts", "may_win"), [(0.01, 0.01, True), (0.01, 0.0, False), (0.0, 0.1, False)]
)
def test_both_bounds_must_be_above_zero(low: float, over_prompts: float, may_win: bool) -> None:
    gain = Estimate(0.02, low, 0.03, 0.9, 10, 10, 40, 0)
    assert UnseenPrompts("so", gain, (("a", 0.02),), over_prompts).may_win is may_win


def test_the_evidence_is_saved_and_loaded(choosing: Recommender, telling: Recommender, tmp_path: Path) -> None:
    choosing.save(tmp_path / "a")
    before, evidence = choosing.unseen_prompts_, telling.unseen_prompts_
    assert Recommender.load(tmp_path / "a").unseen_prompts_ == before
    choosing.unseen_prompts_ = evidence
    try:
        choosing.save(tmp_path / "b")
    finally:
        choosing.unseen_prompts_ = before
    assert Recommender.load(tmp_path / "b").unseen_prompts_ == evidence
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["unseen_prompts"]["may_win"] is True
    assert manifest["unseen_prompts"]["gain"] == evidence.to_dict()["gain"]


def test_it_is_validated_with_the_head_start_that_is_used(telling: Recommender) -> None:
    assert isinstance(telling.policy_, BestOfN)
    again = validated(joint(), logs(wording_tells=True, prompts=KINDS[:-1]))
    assert again == telling.unseen_prompts_
