from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.errors import DataError, LeakageError
from prompt_oirl.evaluation.off_policy import LoggedDecisions
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.off_policy import evaluate_off_policy, unseen_decisions
from prompt_oirl.records import Prompt
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.selection import Candidate
from prompt_oirl.testing import SyntheticWorld


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld(n_queries=400, interaction=3.0)


@pytest.fixture(scope="module")
def recommender(world: SyntheticWorld) -> Recommender:
    training = world.demonstrations.select_queries(np.arange(200))
    return Recommender([Candidate("means", PromptMeans())]).fit(training)


def logged(world: SyntheticWorld, *, n: int = 2000, columns=range(6), queries=range(400)) -> LoggedDecisions:
    """Every prompt drawn equally often."""
    rng = np.random.default_rng(0)
    rows, chosen = rng.integers(len(queries), size=n), rng.integers(len(columns), size=n)
    places = np.array(queries)[rows], np.array(columns)[chosen]
    return LoggedDecisions(
        tuple(world.queries[i] for i in queries),
        tuple(world.prompts[i] for i in columns),
        rows,
        chosen,
        (rng.random(n) < world.success_probabilities[places]).astype(float),
        np.full(n, 1 / len(columns)),
    )


def test_the_recommenders_choices_are_valued_against_its_best_single_prompt(world, recommender) -> None:
    decisions = unseen_decisions(recommender, logged(world))
    assert 0 < decisions.n_queries < 200
    found = evaluate_off_policy(recommender, decisions)
    assert found.read == "dr"
    choices = recommender.choose(decisions.queries, world.prompts)
    position = {query: row for row, query in enumerate(world.queries)}
    asked = np.array([position[query] for query in decisions.queries])[decisions.rows]
    truth = world.success_probabilities[asked, choices[decisions.rows]].mean()
    value = found["dr"].value
    assert value is not None
    assert value.low < truth < value.high
    assert found["dr"].gain is not None
    assert found["dr"].gain.value == pytest.approx(0, abs=1e-12)  # one prompt for all is the best single prompt


def test_the_order_of_prompts_does_not_matter(world, recommender) -> None:
    decisions = unseen_decisions(recommender, logged(world))
    turned = LoggedDecisions(
        decisions.queries,
        decisions.prompts[::-1],
        decisions.rows,
        5 - decisions.chosen,
        decisions.rewards,
        decisions.propensities,
    )
    one, other = (evaluate_off_policy(recommender, each)["ips"].value for each in (decisions, turned))
    assert one == other


def test_queries_of_training_are_refused(world, recommender) -> None:
    with pytest.raises(LeakageError, match="in the training set"):
        evaluate_off_policy(recommender, logged(world))
    with pytest.raises(DataError, match="all 200 queries were in training"):
        unseen_decisions(recommender, logged(world, queries=range(200)))


def test_a_prompt_that_was_never_logged_is_lost_overlap(world, recommender) -> None:
    best = [prompt.id for prompt in world.prompts].index(recommender.best_single_.prompt_id)
    others = [column for column in range(6) if column != best]
    found = evaluate_off_policy(recommender, unseen_decisions(recommender, logged(world, columns=others)))
    assert found.read is None
    assert found["dr"].value is None
    assert found.support is not None
    assert found.support.overlap == 0


def test_a_prompt_that_the_recommender_does_not_know_is_never_chosen(world, recommender) -> None:
    decisions = unseen_decisions(recommender, logged(world))
    new = (*decisions.prompts, Prompt.from_text("New.", id="new"))
    rows, chosen = np.append(decisions.rows, decisions.rows[:50]), np.append(decisions.chosen, np.full(50, 6))
    more = LoggedDecisions(
        decisions.queries, new, rows, chosen, np.ones(len(rows)), np.full(len(rows), 1 / 7)
    )  # fmt: skip
    support = evaluate_off_policy(recommender, more).support
    assert support is not None
    assert support.n_matched < len(decisions.rows)


def test_another_wording_of_a_prompt_is_an_error(world, recommender) -> None:
    decisions = unseen_decisions(recommender, logged(world))
    other = (Prompt.from_text("Other.", id=world.prompts[0].id), *decisions.prompts[1:])
    changed = LoggedDecisions(
        decisions.queries, other, decisions.rows, decisions.chosen, decisions.rewards, decisions.propensities
    )
    with pytest.raises(DataError, match="stands for"):
        evaluate_off_policy(recommender, changed)
