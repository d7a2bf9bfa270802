"""What is wrong is refused or marked, with the reason and the way out."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.evaluation.off_policy import ESTIMATORS, off_policy_values

BY_PROPENSITIES = [each for each in ESTIMATORS if each != "dm"]


def test_decisions_without_propensities_are_refused_with_the_way_out(greedy, make_decisions) -> None:
    world = greedy()
    bare = make_decisions(300, 4, world.rows, world.chosen, world.rewards)
    for estimators in (ESTIMATORS, ("dm",)):
        with pytest.raises(DataError, match="direct_method_only"):
            off_policy_values(bare, world.target, scores=world.scores, estimators=estimators)


def test_a_propensity_too_low_to_divide_by_is_refused(greedy, make_decisions) -> None:
    world = greedy()
    propensities = world.decisions.propensities.copy()
    propensities[5] = 1e-200
    tiny = make_decisions(300, 4, world.rows, world.chosen, world.rewards, propensities)
    for clip in (0.0, 0.01):
        with pytest.raises(DataError, match=r"decision 5 is 1e-200, .* correct what was logged"):
            off_policy_values(tiny, world.target, scores=world.scores, clip=clip)
    alone = off_policy_values(tiny, world.target, scores=world.scores, direct_method_only=True)
    assert alone.read == "dm"


def test_the_direct_method_alone_is_labelled_so(greedy, make_decisions) -> None:
    world = greedy()
    bare = make_decisions(300, 4, world.rows, world.chosen, world.rewards)
    found = off_policy_values(
        bare, world.target, baseline=world.baseline, scores=world.scores, direct_method_only=True
    )  # fmt: skip
    assert [each.estimator for each in found.estimates] == ["dm"]
    assert (found.read, found.support) == ("dm", None)
    assert "rests on the direct model alone" in found.why
    assert "direct model alone" in found["dm"].rests_on
    assert found["dm"].gain is not None
    with_propensities = off_policy_values(
        world.decisions, world.target, scores=world.scores, direct_method_only=True
    )  # fmt: skip
    assert [each.estimator for each in with_propensities.estimates] == ["dm"]


def test_the_direct_method_alone_does_not_ask_for_propensities_that_are_there(greedy, make_decisions) -> None:
    world = greedy()
    bare = make_decisions(300, 4, world.rows, world.chosen, world.rewards)
    of_bare = off_policy_values(bare, world.target, scores=world.scores, direct_method_only=True)
    assert of_bare.why.endswith("and log propensities.")
    found = off_policy_values(world.decisions, world.target, scores=world.scores, direct_method_only=True)
    assert "the logs have propensities: leave --direct-method-only out" in found.why
    assert "log propensities" not in found.why
    asked = off_policy_values(world.decisions, world.target, scores=world.scores, estimators=("dm",))
    assert "the logs have propensities: ask for dr too" in asked.why


def test_without_a_direct_model_snips_is_read(greedy) -> None:
    world = greedy()
    found = off_policy_values(world.decisions, world.target, baseline=world.baseline)
    assert found.read == "snips"
    assert found["dr"].value is None
    assert "give scores" in (found["dr"].refusal or "")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_estimator_alone_may_be_asked(greedy, estimator) -> None:
    world = greedy()
    found = off_policy_values(world.decisions, world.target, scores=world.scores, estimators=(estimator,))
    assert [each.estimator for each in found.estimates] == [estimator]
    assert found.read == estimator
    assert ("direct model alone" in found.why) == (estimator == "dm")


def test_a_policy_outside_the_support_is_refused_by_all_but_the_direct_method(greedy, make_decisions) -> None:
    """Nothing is explored: every choice was certain, so that it is known exactly what could not be chosen."""
    world = greedy()
    chosen = world.recommended[world.rows]
    decisions = make_decisions(300, 4, world.rows, chosen, world.rewards, np.ones(len(chosen)))
    found = off_policy_values(decisions, world.target, baseline=world.baseline, scores=world.scores)
    overlap = (world.target == world.recommended)[world.rows].mean()
    assert found.support is not None
    assert found.support.is_overlap_exact
    assert found.support.overlap == pytest.approx(overlap)
    assert found.support.lost_overlap == pytest.approx(1 - overlap)
    for estimator in BY_PROPENSITIES:
        each = found[estimator]
        assert each.value is each.baseline_value is each.gain is None
        assert f"{100 * (1 - overlap):.1f} % of the policy's weight" in (each.refusal or "")
        assert "explore" in (each.refusal or "")
    assert found["dm"].value is not None
    assert found.read is None
    assert found.why.startswith("Read none: the logs do not show what this policy would choose")
    assert "explore" in found.why


def test_overlap_that_was_lost_shows_in_the_mean_weight(make_decisions, greedy) -> None:
    """One prompt of four was never a candidate, and the propensities say so only by what they sum to."""
    world = greedy(n_queries=500, n_decisions=4000, explore=1.0)
    rng = np.random.default_rng(0)
    chosen = rng.integers(1, 4, len(world.rows))
    rewards = (rng.random(len(chosen)) < world.truth[world.rows, chosen]).astype(float)
    decisions = make_decisions(500, 4, world.rows, chosen, rewards, np.full(len(chosen), 1 / 3))
    found = off_policy_values(decisions, world.target, scores=world.scores)
    assert found.support is not None
    assert not found.support.is_overlap_exact
    lost = (world.target == 0)[world.rows].mean()
    assert found.support.overlap == pytest.approx(1 - lost, abs=0.05)
    assert 0 < found.support.lost_overlap < lost
    assert found.support.never_logged == pytest.approx(lost)
    assert found.support.is_overlap_to_blame
    assert "or more" in (found["dr"].refusal or "")
    assert "explore" in found.why
    assert "propensities" not in found.why
    known = make_decisions(
        500, 4, world.rows, chosen, rewards, action_probabilities=np.tile([0, 1 / 3, 1 / 3, 1 / 3], (len(chosen), 1))
    )
    exact = off_policy_values(known, world.target, scores=world.scores).support
    assert exact is not None
    assert (exact.is_overlap_exact, exact.lost_overlap) == (True, pytest.approx(lost))


@pytest.mark.parametrize(
    ("kind", "cause"), [("choice", "wrong propensities are a likelier cause"), ("cell", "a run that is not finished")]
)
def test_propensities_that_are_too_large_are_the_likelier_cause(greedy, make_decisions, kind, cause) -> None:
    """Decisions with the policy's prompts are there, and all prompts were logged: overlap is not what is lacking."""
    world = greedy(n_decisions=4000)
    propensities = np.where(world.propensities < 0.5, 0.9, world.propensities)
    wrong = make_decisions(
        300, 4, world.rows, world.chosen, world.rewards, propensities, propensity_of=kind
    )  # fmt: skip
    found = off_policy_values(wrong, world.target, baseline=world.baseline, scores=world.scores)
    assert found.support is not None
    assert found.support.never_logged == 0
    assert not found.support.is_overlap_to_blame
    assert "propensities are likely wrong" in (found["dr"].refusal or "")
    assert found.read is None
    assert f"{found.support.n_matched} decisions have a prompt that this policy would choose" in found.why
    assert cause in found.why
    assert "explore" not in found.why


def test_what_needs_a_direct_model_says_so(greedy) -> None:
    world = greedy()
    found = off_policy_values(world.decisions, world.target, estimators=("dr",))
    assert (found.read, found["dr"].value) == (None, None)
    assert "give scores" in found.why


def test_a_small_loss_of_overlap_is_marked_and_no_more(make_decisions) -> None:
    n = 1000
    target = np.zeros(n, int)
    target[:5] = 1
    rewards = (np.arange(n) % 2).astype(float)
    decisions = make_decisions(n, 2, np.arange(n), np.zeros(n, int), rewards, np.ones(n))
    found = off_policy_values(decisions, target, baseline=np.zeros(n, int))
    assert found["ips"].value is not None
    assert found.support is not None
    assert found.support.lost_overlap == pytest.approx(0.005)
    assert any("0.5 %" in each for each in found.warnings)
    assert found["ips"].gain is None
    assert "where policy and baseline differ" in (found["ips"].refusal or "")


def test_a_policy_that_was_never_logged_is_refused(make_decisions) -> None:
    n = 100
    decisions = make_decisions(n, 2, np.arange(n), np.zeros(n, int), np.ones(n), np.full(n, 0.5))
    found = off_policy_values(decisions, np.ones(n, int), baseline=np.zeros(n, int), scores=np.full((n, 2), 0.5))
    assert found.support is not None
    assert (found.support.effective_sample_size, found.support.n_matched) == (0, 0)
    assert "no logged decision has a prompt that the policy would choose" in (found["snips"].refusal or "")
    assert found["snips"].baseline_value is not None


def test_few_queries_are_marked(greedy) -> None:
    world = greedy(n_queries=20, n_decisions=400)
    found = off_policy_values(world.decisions, world.target, scores=world.scores)
    assert any("20 groups of queries" in each and "30" in each for each in found.warnings)
    assert found["dr"].value is not None
    assert found["dr"].value.has_few_groups
    assert found.read is None
    assert found.why.startswith("Read none: 20 groups")
    assert "30 or more different queries" in found.why
    alone = off_policy_values(world.decisions, world.target, scores=world.scores, direct_method_only=True)
    assert alone.why == found.why
    enough = greedy(n_queries=40, n_decisions=400)
    marked = off_policy_values(enough.decisions, enough.target, scores=enough.scores)
    assert not any("groups" in each for each in marked.warnings)
    assert marked.read == "dr"


def test_one_group_is_an_error(make_decisions) -> None:
    decisions = make_decisions(1, 2, [0, 0], [0, 1], [1.0, 0.0], [0.5, 0.5])
    with pytest.raises(DataError, match="at least two"):
        off_policy_values(decisions, np.zeros(1, int))


def test_a_group_of_more_than_half_the_decisions_is_marked(greedy) -> None:
    world = greedy()
    groups = np.where(np.arange(300) < 170, 0, np.arange(300))
    found = off_policy_values(world.decisions, world.target, scores=world.scores, groups=groups)
    assert any("% of the decisions are on one group" in each for each in found.warnings)
    assert not off_policy_values(world.decisions, world.target, scores=world.scores).warnings


def test_a_small_effective_sample_size_is_marked(greedy) -> None:
    world = greedy(explore=0.02, n_decisions=400)
    worst = world.truth.argmin(axis=1)
    found = off_policy_values(world.decisions, worst, scores=world.scores)
    assert found.support is not None
    assert found.support.effective_sample_size < 30
    assert any("effective sample size" in each for each in found.warnings)
    assert found.read is None
    enough = math.ceil(400 * 30 / found.support.effective_sample_size)
    assert f"log about {enough} such decisions" in found.why
    assert off_policy_values(world.decisions, worst, scores=world.scores, estimators=("dm",)).read == "dm"
    as_baseline = off_policy_values(world.decisions, world.recommended, baseline=worst, scores=world.scores)
    assert as_baseline.read is None
    assert "of the baseline these 400 decisions tell as much as" in as_baseline.why


def test_propensities_that_are_too_small_are_marked(greedy, make_decisions) -> None:
    world = greedy(n_decisions=4000)
    halved = make_decisions(300, 4, world.rows, world.chosen, world.rewards, world.propensities / 2)
    found = off_policy_values(halved, world.target, scores=world.scores)
    assert any("more than the 1 that right propensities" in each for each in found.warnings)
    assert found.why.startswith("Read dr only if the propensities are right")


@pytest.mark.parametrize("factor", [0.5, 1.4])
def test_propensities_that_are_likely_wrong_promise_nothing(greedy, make_decisions, factor) -> None:
    """Also those of the baseline alone: its value is refused or not, the policy's is there."""
    world = greedy(n_decisions=4000, explore=0.8)
    is_single = world.chosen == world.baseline[0]
    wrong = np.where(is_single, np.minimum(world.propensities * factor, 1), world.propensities)
    decisions = make_decisions(300, 4, world.rows, world.chosen, world.rewards, wrong)
    others = np.where(world.target == world.baseline[0], (world.target + 1) % 4, world.target)
    found = off_policy_values(decisions, others, baseline=world.baseline, scores=world.scores)
    assert found.support is not None
    assert found.baseline_support is not None
    assert not found.support.is_too_heavy
    assert not found.support.is_too_light
    assert found.baseline_support.is_too_heavy == (factor < 1)
    assert found.baseline_support.is_too_light == (factor > 1)
    assert found.read == "dr"
    assert found.why.startswith("Read dr only if the propensities are right, which the weights speak against")
    assert f"{found.baseline_support.mean_weight.value:.2f} for the baseline" in found.why
    assert "for the policy" not in found.why
    assert "propensities are likely wrong" in found.why
    assert ("overlap is lacking" in found.why) == (factor > 1)
    assert "whatever the direct model is worth" not in found.why


def test_light_weights_with_all_probabilities_known_are_wrong_propensities(greedy, make_decisions) -> None:
    """Overlap is full for sure, so that it cannot be what is lacking."""
    world = greedy(n_decisions=4000)
    of_row = world.probabilities[world.rows]
    tempered = np.sqrt(of_row) / np.sqrt(of_row).sum(axis=1, keepdims=True)
    decisions = make_decisions(300, 4, world.rows, world.chosen, world.rewards, action_probabilities=tempered)
    worst = world.truth.argmin(axis=1)
    found = off_policy_values(decisions, worst, scores=world.scores)
    assert found.support is not None
    assert (found.support.is_overlap_exact, found.support.is_enough) == (True, True)
    assert found.support.is_too_light
    assert "propensities are likely wrong; check" in found.why
    assert "overlap" not in found.why
    assert any(each.endswith("check that each is the probability of the logged prompt") for each in found.warnings)


def test_lacking_overlap_of_the_baseline_is_no_sign_of_wrong_propensities(make_decisions) -> None:
    n = 1000
    chosen, rewards = np.arange(n) % 2, (np.arange(n) % 3 == 0).astype(float)
    decisions = make_decisions(n, 3, np.arange(n), chosen, rewards, np.full(n, 0.5))
    found = off_policy_values(
        decisions, np.zeros(n, int), baseline=np.full(n, 2), scores=np.full((n, 3), 0.5)
    )  # fmt: skip
    assert found["dr"].baseline_value is None
    assert found.why.startswith("Read dr: it is right where the propensities are")


def test_intervals_end_at_what_is_possible_and_estimates_beyond_it_are_marked(greedy, make_decisions) -> None:
    world = greedy(n_decisions=4000)
    halved = make_decisions(300, 4, world.rows, world.chosen, np.ones(4000), world.propensities / 2)
    never = make_decisions(300, 4, world.rows, world.chosen, np.zeros(4000), world.propensities)
    for decisions, is_beyond in ((halved, True), (never, False), (world.decisions, False)):
        found = off_policy_values(decisions, world.target, baseline=world.baseline, scores=world.scores)
        for each in found.estimates:
            for rate in (each.value, each.baseline_value):
                assert rate is not None
                assert 0 <= rate.low <= rate.high <= 1
            assert each.gain is not None
            assert -1 <= each.gain.low <= each.gain.high <= 1
            assert each.gain.value == pytest.approx(each.value.value - each.baseline_value.value)
        assert found["ips"].is_beyond_possible == is_beyond
        assert any("ips" in each and "beyond what is possible" in each for each in found.warnings) == is_beyond
    beyond = off_policy_values(halved, world.target)["ips"].value
    assert beyond is not None
    assert (beyond.value > 1.5, beyond.low, beyond.high) == (True, 1, 1)


def test_clipped_propensities_are_counted(greedy) -> None:
    world = greedy()
    found = off_policy_values(world.decisions, world.target, scores=world.scores, clip=0.2)
    assert found.support is not None
    matched = world.target[world.rows] == world.chosen
    assert found.support.n_clipped == (matched & (world.propensities < 0.2)).sum() > 0
    assert found.support.largest_weight == pytest.approx(5)
    assert any("0.2" in each and "count as" in each for each in found.warnings)


def test_clipped_estimates_promise_nothing(greedy) -> None:
    world = greedy()
    unclipped = off_policy_values(world.decisions, world.target, scores=world.scores)
    weights = (world.target[world.rows] == world.chosen) / world.propensities
    kept = (world.target[world.rows] == world.chosen) / np.maximum(world.propensities, 0.2)
    assert unclipped.support is not None
    assert unclipped.support.cut_by_clip == 0
    assert "clip" not in unclipped.why
    assert unclipped["dr"].rests_on == "the propensities; the direct model only narrows the interval"

    found = off_policy_values(world.decisions, world.target, scores=world.scores, clip=0.2)
    assert found.support is not None
    assert found.support.cut_by_clip == pytest.approx(1 - kept.sum() / weights.sum())
    assert found.read == "dr"
    assert found.why.startswith("Read dr as one that leans on the direct model")
    assert f"clipping took {100 * found.support.cut_by_clip:.1f} % of the policy's weight" in found.why
    assert "ips and snips are biased" in found.why
    assert "whatever the direct model is worth" not in found.why
    assert "the direct model where they were clipped" in found["dr"].rests_on
    for estimator in ("ips", "snips"):
        assert "biased where they were clipped" in found[estimator].rests_on
    without_model = off_policy_values(world.decisions, world.target, clip=0.2)
    assert without_model.why.startswith("Read snips as a biased estimate")


def test_clipping_of_the_baseline_alone_is_named(greedy) -> None:
    world = greedy()
    worst = world.truth.argmin(axis=1)
    found = off_policy_values(world.decisions, world.recommended, baseline=worst, scores=world.scores, clip=0.2)
    assert found.support is not None
    assert found.support.n_clipped == 0
    assert "% of the baseline's weight" in found.why
    assert "% of the policy's" not in found.why
    assert "where they were clipped" in found["dr"].rests_on


def test_clipped_and_likely_wrong_propensities_are_both_named(greedy, make_decisions) -> None:
    world = greedy(n_decisions=4000)
    halved = make_decisions(300, 4, world.rows, world.chosen, world.rewards, world.propensities / 2)
    found = off_policy_values(halved, world.target, scores=world.scores, clip=0.1)
    assert "propensities are likely wrong" in found.why
    assert "leans on the direct model" in found.why


def test_a_clip_below_all_propensities_changes_nothing(greedy) -> None:
    world = greedy()
    plain = off_policy_values(world.decisions, world.target, scores=world.scores)
    found = off_policy_values(world.decisions, world.target, scores=world.scores, clip=0.01)
    assert (found.why, found.estimates) == (plain.why, plain.estimates)


def test_decisions_without_a_reward_are_left_out_and_counted(greedy, make_decisions) -> None:
    world = greedy()
    rewards = np.where(np.random.default_rng(0).random(1200) < 0.3, np.nan, world.rewards)
    kept = ~np.isnan(rewards)
    found = off_policy_values(
        make_decisions(300, 4, world.rows, world.chosen, rewards, world.propensities), world.target
    )  # fmt: skip
    alone = off_policy_values(
        make_decisions(300, 4, world.rows[kept], world.chosen[kept], rewards[kept], world.propensities[kept]),
        world.target,
    )
    assert found["ips"].value is not None
    assert alone["ips"].value is not None
    assert found["ips"].value.value == pytest.approx(alone["ips"].value.value, abs=0.02)
    assert (found.n_decisions, found.n_without_reward) == (1200, (~kept).sum())
    assert found.n_queries >= alone.n_queries
    with pytest.raises(DataError, match="none of 1200 decisions has a reward"):
        off_policy_values(
            make_decisions(300, 4, world.rows, world.chosen, np.full(1200, np.nan), world.propensities), world.target
        )


def test_rewards_that_are_missing_for_one_prompt_bias_nothing(make_decisions) -> None:
    """Half of the second prompt's rewards were not recorded, whatever they are. The truth is 0.6."""
    rng, found = np.random.default_rng(0), []
    is_easy = np.arange(2000) % 2 == 0
    rates = np.where(is_easy[:, None], [0.9, 0.8], [0.6, 0.3])
    for _ in range(40):
        chosen = rng.integers(0, 2, 2000)
        rewards = (rng.random(2000) < rates[np.arange(2000), chosen]).astype(float)
        rewards[(chosen == 1) & (rng.random(2000) < 0.5)] = np.nan
        decisions = make_decisions(2000, 2, np.arange(2000), chosen, rewards, np.full(2000, 0.5))
        values = off_policy_values(
            decisions, np.where(is_easy, 0, 1), scores=np.full((2000, 2), 0.5), estimators=("ips", "snips", "dr")
        )
        found.append([each.value.value for each in values.estimates])
    assert np.mean(found, axis=0) == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": np.full(300, 4)}, "prompts 0 to 3"),
        ({"target": np.zeros(299, int)}, "one prompt index for each of 300"),
        ({"target": np.full((300, 4), 0.3)}, "sum to 1"),
        ({"target": np.tile([1.5, -0.5, 0, 0], (300, 1))}, "at least 0"),
        ({"baseline": np.zeros((300, 3))}, "baseline"),
        ({"scores": np.zeros((300, 3))}, "scores have shape"),
        ({"scores": np.full((300, 4), 1.5)}, "LogisticModel"),
        ({"scores": np.full((300, 4), math.nan)}, "expected rewards from 0 to 1"),
        ({"scores": None, "direct_method_only": True}, "needs a direct model"),
        ({"clip": 1.0}, "clip=1.0"),
        ({"clip": -0.1}, "clip=-0.1"),
        ({"level": 1.0}, "level=1.0"),
        ({"switch_at": -1.0}, "switch_at"),
        ({"shrinkage": math.nan}, "shrinkage"),
        ({"estimators": ("magic",)}, "estimators"),
        ({"estimators": ()}, "estimators"),
        ({"groups": np.zeros(3, int)}, "groups have shape"),
    ],
)
def test_arguments_outside_what_is_allowed_are_errors(greedy, change, message) -> None:
    world = greedy()
    arguments = {"target": world.target, "scores": world.scores} | change
    target = arguments.pop("target")
    with pytest.raises(ParameterError, match=message):
        off_policy_values(world.decisions, target, **arguments)


def test_the_result_is_json_and_text(greedy) -> None:
    world = greedy()
    found = off_policy_values(world.decisions, world.target, baseline=world.baseline, scores=world.scores)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [each["estimator"] for each in read["estimates"]] == list(ESTIMATORS)
    assert read["read"] == "dr"
    text = str(found)
    assert "effective sample size" in text
    assert found.support is not None
    assert f"mean weight {found.support.mean_weight.value:.2f}" in text
    assert text.splitlines()[-1].startswith("Read dr")
    with pytest.raises(KeyError, match="there are ips"):
        found["magic"]
