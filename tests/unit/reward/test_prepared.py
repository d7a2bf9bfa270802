"""Prepared reward models score as `score` does."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import NotFittedError, UnseenPromptError
from prompt_oirl.features.lexical import LexicalFeatures
from prompt_oirl.features.similarity import TextSimilarity
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.reward.prepared import GeneralScorer, prepare
from prompt_oirl.reward.protocol import PreparedScorer, RewardModel
from prompt_oirl.sources.release import Release
from prompt_oirl.testing import SyntheticWorld

LOGS = SyntheticWorld(n_queries=260, interaction=2, seed=3).demonstrations
TRAINING = LOGS.select_queries(np.arange(220))
MODELS: dict[str, RewardModel] = {
    "kernel": KernelAdvantage().fit(TRAINING),
    "kernel in blocks": KernelAdvantage(block_size=60).fit(TRAINING),
    "logistic": LogisticModel().fit(TRAINING),
    "means": PromptMeans().fit(TRAINING),
}
SCORERS = {name: prepare(model, TRAINING.prompts) for name, model in MODELS.items()}
SPECIAL = (
    "_",
    "?",
    "苹果 多少？",
    "Zyzzyva",
    "1",
    "a" * 10_000,
    "Mr. Smith has 3.5 . How many more?",
    "1, 2; 3! " * 900,
)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=60).filter(str.strip)
queries = st.one_of(texts.map(Query), st.sampled_from(LOGS.queries), st.sampled_from(SPECIAL).map(Query))


def check_scores(scorer: PreparedScorer, model: RewardModel, asked: Sequence[Query], prompts: Sequence[Prompt]) -> None:
    general = model.score(asked, prompts)
    np.testing.assert_allclose(scorer.score_many(asked), general, atol=1e-5)
    for query, expected in zip(asked, general, strict=True):
        np.testing.assert_allclose(scorer.score_one(query), expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@given(asked=st.lists(queries, min_size=1, max_size=5))
def test_scores_are_those_of_the_model(name: str, asked: list[Query]) -> None:
    check_scores(SCORERS[name], MODELS[name], asked, TRAINING.prompts)


@pytest.mark.parametrize("name", MODELS)
def test_special_texts(name: str) -> None:
    check_scores(SCORERS[name], MODELS[name], [Query(text) for text in SPECIAL], TRAINING.prompts)


@pytest.mark.parametrize("name", MODELS)
def test_no_query(name: str) -> None:
    assert SCORERS[name].score_many([]).shape == (0, 6)


@pytest.mark.parametrize("name", ["kernel", "kernel in blocks"])
def test_training_queries_keep_their_own_effect(name: str) -> None:
    known = TRAINING.queries[7]
    nearly = Query(f"{known.text} ")  # the same tokens, another query
    scorer = SCORERS[name]
    assert np.abs(scorer.score_one(known) - scorer.score_one(nearly)).max() > 0.01
    check_scores(scorer, MODELS[name], [known, nearly, TRAINING.queries[100]], TRAINING.prompts)


@pytest.mark.parametrize("name", MODELS)
def test_some_prompts_in_another_order(name: str) -> None:
    prompts = [TRAINING.prompts[i] for i in (4, 0, 2)]
    asked = [*LOGS.queries[210:230]]
    check_scores(prepare(MODELS[name], prompts), MODELS[name], asked, prompts)


@pytest.mark.parametrize("name", ["kernel", "logistic"])
def test_what_can_be_prepared_says_what_score_says_of_bad_use(name: str) -> None:
    with pytest.raises(UnseenPromptError, match="new-one"):
        prepare(MODELS[name], [Prompt.from_text("Another.", id="new-one")])
    with pytest.raises(NotFittedError):
        prepare(type(MODELS[name])(), TRAINING.prompts)


def test_which_are_quick() -> None:
    assert {name: scorer.is_quick for name, scorer in SCORERS.items()} == {
        "kernel": True, "kernel in blocks": True, "logistic": True, "means": False
    }  # fmt: skip


def test_a_kernel_with_very_many_cells_is_not_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_oirl.reward.kernel_scorer._QUICK", 220 * (350 + 6) - 1)
    assert not prepare(MODELS["kernel"], TRAINING.prompts).is_quick


class OtherFeatures(LexicalFeatures):
    """What it does differently, its class alone knows."""

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        return super().transform(texts) * 2


class OtherSimilarity(TextSimilarity):
    def points(self, texts: Sequence[str]) -> object:  # type: ignore[override]
        return super().points([text.upper() for text in texts])


@pytest.mark.parametrize("model", [LogisticModel(OtherFeatures()), KernelAdvantage(OtherSimilarity())])
def test_features_of_another_kind_take_the_general_path(model: RewardModel) -> None:
    scorer = prepare(model.fit(TRAINING), TRAINING.prompts)
    assert isinstance(scorer, GeneralScorer)
    assert not scorer.is_quick
    check_scores(scorer, model, LOGS.queries[215:225], TRAINING.prompts)


@pytest.mark.parametrize("name", ["kernel in blocks", "logistic"])
def test_threads_may_share_a_scorer(name: str) -> None:
    scorer = prepare(MODELS[name], TRAINING.prompts)
    alone = [SCORERS[name].score_one(query) for query in LOGS.queries]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(scorer.score_one, LOGS.queries))
    np.testing.assert_array_equal(np.array(together), np.array(alone))


@pytest.mark.real_logs
@pytest.mark.parametrize("model", [KernelAdvantage(block_size=700), LogisticModel()], ids=["kernel", "logistic"])
def test_real_logs(data_folder: Path, model: RewardModel) -> None:
    logs = Release.find(data_folder).trials("llama-2-7b-chat", "mawps").demonstrations("all", prompts=range(6))
    others = Release.find(data_folder).trials("llama-2-7b-chat", "gsm8k").demonstrations("test", prompts=range(6))
    training: Demonstrations = logs.select_queries(np.arange(0, logs.n_queries, 2))
    model.fit(training)
    asked = (*logs.queries[:120], *others.queries[:120])
    check_scores(prepare(model, training.prompts), model, asked, training.prompts)
