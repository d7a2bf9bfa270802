from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.features.similarity import TextSimilarity
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.description import describe
from prompt_oirl.recommender.logged_queries import LoggedQueries
from prompt_oirl.records import Prompt
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.selection import Candidate
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture(scope="module")
def kernel(train: Demonstrations) -> Recommender:
    """In several blocks, so that points are put together in another order than the queries."""
    return Recommender([Candidate("kernel", KernelAdvantage(block_size=60), (0.01,))]).fit(train)


def test_every_candidate_has_its_score(choosing: Recommender, test: Demonstrations) -> None:
    for query in test.queries[:20]:
        found = choosing.explain(query.text)
        assert found.recommendation == choosing.recommend(query.text)
        assert {each.prompt for each in found.scores} == set(choosing.prompts_)
        assert found.scores[0].prompt == found.recommendation.prompt


def test_the_margin_says_whether_the_best_single_prompt_is_kept(choosing: Recommender, test: Demonstrations) -> None:
    kept = []
    for query in test.queries:
        found = choosing.explain(query.text, n_nearest=0)
        scores = {each.prompt.id: each.score for each in found.scores}
        assert found.margin == max(scores.values()) - scores[choosing.best_single_.prompt_id]
        assert found.margin_over_head_start == found.margin - choosing.selection_.best.head_start
        assert found.is_best_single_kept == (found.margin_over_head_start <= 0)
        kept.append(found.is_best_single_kept)
    assert set(kept) == {True, False}


def test_where_one_prompt_serves_all_the_reason_says_so(cautious: Recommender) -> None:
    found = cautious.explain("How many apples has Tom?")
    assert found.is_best_single_kept
    assert (found.margin, found.head_start) == (0, 0)
    assert "one prompt for all queries" in found.recommendation.reason
    assert len(found.nearest) == 5


def test_unseen_prompts_that_cannot_win_are_no_part_of_the_margin(choosing: Recommender) -> None:
    plain = choosing.explain("How many apples has Tom?")
    found = choosing.explain("How many apples has Tom?", extra_prompts=[Prompt.from_text("New.", id="new")])
    assert found.margin == plain.margin
    assert [each.is_seen for each in found.scores] == [True] * len(choosing.prompts_) + [False]
    assert found.to_dict()["scores"][-1] == {"prompt_id": "new", "score": None, "is_seen": False}


@pytest.mark.parametrize("model", ["kernel", "other"])
def test_the_nearest_queries_are_those_that_the_similarity_finds(
    model: str, kernel: Recommender, train: Demonstrations, test: Demonstrations
) -> None:
    if model == "kernel":
        recommender, similarity = kernel, kernel.policy_.model.similarity_
        assert len(kernel.policy_.model.blocks_) > 1
    else:
        recommender = Recommender([Candidate("logistic", LogisticModel(), (0.01,))]).fit(train)
        tried = train.trials.any(axis=1)
        similarity = TextSimilarity().fit(
            [q.text for q, is_tried in zip(train.queries, tried, strict=True) if is_tried]
        )
    texts = [query.text for query in train.queries]
    for query in test.queries[:10]:
        found = recommender.explain(query.text, n_nearest=4).nearest
        similarities = TextSimilarity.between(similarity.points([query.text]), similarity.points(texts))[0]
        similarities[~train.trials.any(axis=1)] = -1
        expected = np.sort(similarities)[::-1][:4]
        assert [each.similarity for each in found] == pytest.approx(expected.tolist(), abs=1e-5)
        for each in found:
            row = texts.index(each.text)
            assert similarities[row] == pytest.approx(each.similarity, abs=1e-5)
            assert each.outcomes == {
                name: (train.trials[row, i], train.successes[row, i])
                for i, name in enumerate(train.prompt_ids)
                if train.trials[row, i]
            }


def test_a_logged_query_is_nearest_to_itself(kernel: Recommender, train: Demonstrations) -> None:
    tried = [query for query, trials in zip(train.queries, train.trials, strict=True) if trials.any()]
    found = kernel.explain(tried[7].text).nearest[0]
    assert found.text == tried[7].text
    assert found.similarity == pytest.approx(1, abs=1e-5)


def test_what_has_nothing_in_common_is_not_near(choosing: Recommender) -> None:
    found = choosing.explain("…")
    assert found.nearest == ()
    assert found.has_logged_queries


def test_without_demonstrations_it_says_so(choosing: Recommender, tmp_path: Path) -> None:
    choosing.save(tmp_path / "a", with_demonstrations=False)
    found = Recommender.load(tmp_path / "a").explain("How many?")
    assert (found.nearest, found.has_logged_queries) == ((), False)


def test_what_was_loaded_explains_the_same(choosing: Recommender, test: Demonstrations, tmp_path: Path) -> None:
    choosing.save(tmp_path / "a")
    found = Recommender.load(tmp_path / "a")
    for query in test.queries[:5]:
        assert found.explain(query.text) == choosing.explain(query.text)


def test_it_can_be_held_as_json(choosing: Recommender, test: Demonstrations) -> None:
    made = choosing.explain(test.queries[0].text, n_nearest=2)
    found = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert set(choosing.recommend(test.queries[0].text).to_dict()) < set(found)
    assert found["margin_over_head_start"] == found["margin"] - found["head_start"]
    assert len(found["nearest"]) == 2
    assert set(found["nearest"][0]) == {"query", "similarity", "outcomes"}
    counts = next(iter(found["nearest"][0]["outcomes"].values()))
    assert counts["trials"] >= counts["successes"] >= 0


def test_bad_arguments(choosing: Recommender) -> None:
    with pytest.raises(ParameterError, match="n_nearest=-1"):
        choosing.explain("How many?", n_nearest=-1)
    with pytest.raises(DataError, match="non-empty"):
        choosing.explain(" ")
    assert len(choosing.explain("How many apples?", n_nearest=10_000).nearest) > 100


def test_it_is_fitted_again_with_other_logs(train: Demonstrations) -> None:
    recommender = Recommender([Candidate("kernel", KernelAdvantage(), (0.01,))]).fit(train)
    text = train.queries[0].text
    assert recommender.explain(text).nearest[0].text == text
    recommender.fit(train.select_queries(np.arange(1, train.n_queries)))
    assert recommender.explain(text).nearest[0].text != text


def test_one_query_takes_well_under_a_tenth_of_a_second(test: Demonstrations) -> None:
    demonstrations = SyntheticWorld(n_queries=3000, seed=4).demonstrations
    logged = LoggedQueries.of(demonstrations)
    seconds = []
    for query in test.queries[:15]:
        started = time.process_time()
        assert len(logged.nearest(query.text, 5)) == 5
        seconds.append(time.process_time() - started)
    assert median(seconds) < 0.1


def test_a_description_names_types_parameters_and_parts(kernel: Recommender) -> None:
    found = describe(kernel.policy_.model)
    assert found["type"] == "KernelAdvantage"
    assert found["parameters"]["block_size"] == 60
    assert "similarity" not in found["parameters"]
    assert found["made_of"]["similarity"]["parameters"]["n_skeleton"] == 60
    assert found["made_of"]["similarity"]["what"].startswith("k(x, x')")
    json.dumps(found, allow_nan=False)
