from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation import CrossValidation, headroom
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.release import Release


def chosen(logs: Demonstrations, choices: IntArray, baseline: int = 0) -> CrossValidation:
    zeros = np.zeros(logs.n_queries, int)
    return CrossValidation(choices, zeros + baseline, zeros, logs.groups(), seed=0)


def test_headroom_is_found_where_it_is(draw, crossed) -> None:
    truth = 0.15
    found = headroom(draw(crossed))
    assert found.verdict == "found"
    assert found.by_trials is not None
    assert found.perfect is not None
    assert 0 < found.by_trials.low < found.by_trials.value < truth
    assert found.perfect.value == pytest.approx(truth, abs=0.04)  # two kinds of queries are far from normal
    assert found.by_trials.value < found.perfect.low < found.perfect.high < found.ceiling.low
    assert found.p_value < 0.001
    assert (found.n_queries, found.n_groups, found.n_prompts, found.n_repeated_queries) == (600, 600, 3, 600)


def test_no_headroom_is_found_where_one_prompt_is_best_for_all(draw, alike) -> None:
    found = headroom(draw(alike))
    assert found.verdict == "not found"
    assert found.p_value > 0.05
    assert found.perfect is not None
    assert found.perfect.low == 0
    assert found.ceiling.low > 0  # the inflated oracle gains all the same


def test_variance_adds_up_and_is_told_apart(draw, crossed, alike) -> None:
    for probabilities in (crossed, alike):
        variance = headroom(draw(np.tile(probabilities, (5, 1)))).variance
        assert variance is not None
        overall = probabilities.mean()
        assert variance.total == pytest.approx(overall * (1 - overall), abs=0.003)
        interaction = (probabilities - probabilities.mean(axis=1, keepdims=True) - probabilities.mean(axis=0)).var()
        assert variance.interaction.low < interaction < variance.interaction.high
        assert variance.noise.value == pytest.approx((probabilities * (1 - probabilities)).mean(), abs=0.01)


def test_single_trials_leave_a_floor_by_the_policy_and_a_ceiling(draw, crossed) -> None:
    logs = draw(crossed, 1)
    bare = headroom(logs)
    assert (bare.by_trials, bare.by_policy, bare.perfect, bare.variance) == (None, None, None, None)
    assert (bare.verdict, bare.p_value) == ("cannot be told", 1.0)
    assert bare.ceiling.low > 0.15
    assert bare.power.is_noise_assumed
    assert bare.power.detectable_headroom is None
    assert bare.power.headroom_by_repeats[8] < bare.power.headroom_by_repeats[4]
    told = headroom(logs, policy=chosen(logs, np.arange(600) % 2))
    assert told.verdict == "found"
    assert told.by_policy is not None
    assert told.by_policy.value == pytest.approx(0.15, abs=0.05)


def test_a_policy_must_beat_every_single_prompt_and_not_only_its_baseline(draw, alike) -> None:
    """A recommender may have known another best prompt. What it gains over that is no floor of the headroom here."""
    logs = draw(alike, 1)
    found = headroom(logs, policy=chosen(logs, np.zeros(600, int), baseline=2))
    assert found.by_policy is not None
    assert found.by_policy.value <= 0 <= found.ceiling.low
    assert found.p_value == 1.0
    assert found.verdict == "cannot be told"


def test_a_prompt_that_was_hardly_tried_hides_no_headroom(draw, crossed) -> None:
    logs = draw(crossed)
    trials = np.column_stack([logs.trials, np.arange(logs.n_queries) == 5])
    successes = np.column_stack([logs.successes, np.arange(logs.n_queries) == 5])
    new = Demonstrations(
        logs.queries, (*logs.prompts, Prompt.from_text("Another wording.", id="new")), trials, successes, 0 * trials
    )
    before, after = headroom(logs), headroom(new)
    assert before.verdict == after.verdict == "found"
    assert after.p_value < 1e-3
    assert (before.unrivalled, after.unrivalled) == ((), ("new",))
    assert before.power is not None
    assert after.power is not None
    assert after.power.detectable_gain == pytest.approx(before.power.detectable_gain, rel=0.2)


def test_where_prompts_were_never_compared_no_power_is_stated(draw, crossed) -> None:
    logs = draw(crossed, 1)
    tried = np.arange(logs.n_prompts) == (np.arange(logs.n_queries) % logs.n_prompts)[:, None]
    single = Demonstrations(logs.queries, logs.prompts, logs.trials * tried, logs.successes * tried, 0 * logs.trials)
    found = headroom(single)
    assert found.power is None
    assert found.no_power is not None
    assert "were tried with the best single prompt and with another one" in found.no_power
    assert found.verdict == "cannot be told"


def test_one_group_with_most_of_the_queries_is_marked(draw, crossed) -> None:
    logs = draw(crossed)
    texts = [f"How many are {i} apples?" if i < 400 else query.text for i, query in enumerate(logs.queries)]
    clustered = Demonstrations(tuple(map(Query, texts)), logs.prompts, logs.trials, logs.successes, logs.unscored)
    found = headroom(clustered)
    assert found.has_dominant_group
    assert found.to_dict()["has_dominant_group"] is True
    assert found.power is None
    assert "67% of the queries" in str(found.no_power)


def test_two_floors_cost_a_correction(draw, crossed) -> None:
    logs = draw(crossed[:60])
    alone = headroom(logs)
    both = headroom(logs, policy=chosen(logs, np.zeros(60, int)))
    assert both.p_value == pytest.approx(min(2 * alone.p_value, 1.0))


def test_few_repeats_are_no_evidence_against_headroom(draw, alike) -> None:
    trials = np.where(np.arange(600)[:, None] % 10 == 0, 2, 1)
    found = headroom(draw(alike, np.broadcast_to(trials, alike.shape)))
    assert found.by_trials is not None
    assert found.by_trials.n_left_out >= 540
    assert found.verdict == "cannot be told"


def test_the_ceiling_rests_on_queries_with_all_prompts(draw, crossed) -> None:
    trials = np.full(crossed.shape, 2)
    trials[:100, 2] = 0
    found = headroom(draw(crossed, trials))
    assert found.ceiling.n_queries == 500
    assert found.ceiling.n_left_out == 100


def test_where_no_query_has_all_prompts_an_untried_one_may_succeed(draw, crossed) -> None:
    trials = np.full(crossed.shape, 2)
    trials[np.arange(600), np.where(np.arange(600) % 2, 1, 2)] = 0
    found = headroom(draw(crossed, trials))
    assert found.ceiling.n_queries == 600
    assert found.ceiling.value == pytest.approx(1 - 0.6, abs=0.05)


def test_a_prompt_without_trials_is_left_out(draw, crossed) -> None:
    logs = draw(crossed)
    none = np.zeros((600, 1), int)
    wider = Demonstrations(
        logs.queries,
        (type(logs.prompts[0]).from_text("Never asked.", id="never"), *logs.prompts),
        np.hstack([none, logs.trials]),
        np.hstack([none, logs.successes]),
        np.hstack([none + 1, logs.unscored]),
    )
    found = headroom(wider, policy=chosen(wider, 1 + np.arange(600) % 2, baseline=1))
    assert found.n_prompts == 3
    assert found.by_trials == headroom(logs).by_trials
    assert found.by_policy is not None


def test_the_same_seed_says_the_same(draw, crossed) -> None:
    logs = draw(crossed)
    assert headroom(logs, seed=3).to_dict() == headroom(logs, seed=3).to_dict()
    assert headroom(logs, seed=3).by_trials != headroom(logs, seed=4).by_trials


def test_few_groups_are_marked(draw, crossed) -> None:
    found = headroom(draw(crossed[:20]))
    assert found.has_few_groups
    assert found.perfect is None
    assert found.verdict == "cannot be told"
    assert found.to_dict()["has_few_groups"] is True


def test_all_of_it_is_json_and_text(draw, crossed) -> None:
    found = headroom(draw(crossed))
    assert json.loads(json.dumps(found.to_dict()))["variance"]["interaction"]["n_groups"] == 600
    assert "headroom found" in str(found)
    assert "cannot be told without repeated trials" in str(headroom(draw(crossed, 1)))


def test_what_cannot_be_looked_at_is_refused(draw, crossed) -> None:
    logs = draw(crossed)
    with pytest.raises(ParameterError, match=r"level=0\.4"):
        headroom(logs, level=0.4)
    with pytest.raises(DataError, match="two or more"):
        headroom(logs.select_prompts([0]))
    with pytest.raises(DataError, match="at least two"):
        headroom(logs.select_queries(np.array([0])))
    with pytest.raises(ParameterError, match="chose for 10 queries"):
        headroom(logs, policy=chosen(logs.select_queries(np.arange(10)), np.zeros(10, int)))


NEVER_DIFFER = np.tile([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], (40, 1))


def test_trials_that_never_differ_count_once(draw) -> None:
    """They may be copies of each other: what one of them chooses, the other would confirm."""
    once, twice = (headroom(draw(NEVER_DIFFER, n)) for n in (1, 2))
    assert twice.has_identical_repeats
    assert replace(twice, has_identical_repeats=False) == once
    assert once.verdict == "cannot be told"
    assert once.ceiling.value == pytest.approx(1 / 3)


def test_trials_hardly_any_of_which_differ_are_trials(draw) -> None:
    chances = NEVER_DIFFER.copy()
    chances[::10] = 0.5
    found = headroom(draw(chances, 3))
    assert not found.has_identical_repeats
    assert found.verdict == "found"


@pytest.mark.parametrize("chances", [NEVER_DIFFER[:40], np.ones((120, 2)), np.zeros((120, 2))])
def test_few_trials_or_equal_rewards_may_well_not_differ(draw, chances) -> None:
    assert not headroom(draw(chances, 2)).has_identical_repeats


def test_without_complete_queries_untried_prompts_are_taken_to_be_right(draw) -> None:
    trials = np.tile([[1, 0], [0, 1]], (60, 1))
    found = headroom(draw(np.full((120, 2), 0.5), trials))
    assert found.is_ceiling_incomplete
    assert "untried prompts taken to be right" in str(found)
    assert not headroom(draw(np.full((120, 2), 0.5), 1)).is_ceiling_incomplete


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 40), st.integers(2, 4), st.integers(0, 3), st.integers(0, 10_000))
def test_whatever_was_logged_there_is_an_answer_or_a_refusal(draw, n_queries, n_prompts, most, seed) -> None:
    rng = np.random.default_rng(seed)
    trials = rng.integers(0, most + 1, (n_queries, n_prompts))
    logs = draw(rng.random((n_queries, n_prompts)).round(rng.integers(0, 3)), trials, seed=seed)
    try:
        found = headroom(logs, policy=chosen(logs, rng.integers(0, n_prompts, n_queries)))
    except DataError:
        return  # too little to look at
    assert 0 <= found.p_value <= 1
    assert 0 <= found.ceiling.low <= found.ceiling.high <= 1
    assert found.perfect is None or found.verdict == "found" or found.perfect.low == 0
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found)


@pytest.mark.real_logs
@pytest.mark.parametrize(("dataset", "low", "high"), [("mawps", 0.03, 0.06), ("svamp", 0.04, 0.055)])
def test_headroom_of_the_released_logs(data_folder, dataset, low, high) -> None:
    logs = Release(data_folder).trials("llama-2-7b-chat", dataset).demonstrations("all", prompts=range(6))
    found = headroom(logs)
    assert found.verdict == "found"
    assert found.by_trials is not None
    assert found.by_trials.low > 0
    assert low < found.by_trials.value < high
    assert found.variance is not None
    assert found.variance.interaction.value == pytest.approx({"mawps": 0.034, "svamp": 0.030}[dataset], abs=0.001)


@pytest.mark.real_logs
def test_nothing_is_claimed_where_nothing_was_repeated(data_folder) -> None:
    logs = Release(data_folder).trials("llama-2-7b-chat", "gsm8k").demonstrations("all", prompts=range(6))
    found = headroom(logs)
    assert found.verdict == "cannot be told"
    assert found.power.repeats_for_one_point is not None
