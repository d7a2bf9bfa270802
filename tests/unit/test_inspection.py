from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.inspection import inspect
from prompt_oirl.records import Prompt, Query

QUERIES = ("Tom has 3 apples.", "tom has 7 apples!", "Ann sells 2 pens.", "How old is Bob?")
PROMPTS = (Prompt.from_text("Think.", id="think"), Prompt.from_text("Answer.", id="answer"))


def demonstrations(
    trials: list[list[int]],
    successes: list[list[int]],
    unscored: list[list[int]] | None = None,
    queries: tuple[str, ...] = QUERIES,
    prompts: tuple[Prompt, ...] = PROMPTS,
) -> Demonstrations:
    return Demonstrations(
        queries=tuple(map(Query, queries)),
        prompts=prompts,
        trials=np.array(trials),
        successes=np.array(successes),
        unscored=np.zeros_like(np.array(trials)) if unscored is None else np.array(unscored),
    )


LOGS = demonstrations(
    trials=[[4, 1], [2, 0], [1, 0], [0, 1]],
    successes=[[3, 0], [2, 0], [0, 0], [0, 1]],
    unscored=[[0, 1], [0, 2], [0, 0], [0, 0]],
)


def test_counts() -> None:
    inspection = inspect(LOGS)
    assert (inspection.n_queries, inspection.n_prompts, inspection.n_cells) == (4, 2, 8)
    assert (inspection.n_trials, inspection.n_unscored) == (9, 3)
    assert (inspection.n_untried_cells, inspection.n_unscored_cells) == (2, 1)
    think, answer = inspection.prompts
    assert (think.id, think.text, think.trials, think.successes) == ("think", "Think.", 7, 5)
    assert (think.unscored, think.untried) == (0, 1)
    assert (answer.trials, answer.successes, answer.unscored, answer.untried) == (2, 1, 3, 1)


@pytest.mark.parametrize(("successes", "equal"), [(LOGS.trials, 1), (0 * LOGS.trials, 0), (LOGS.successes, None)])
def test_rewards_that_are_all_equal_are_named(successes: np.ndarray, equal: int | None) -> None:
    inspection = inspect(replace(LOGS, successes=successes))
    assert inspection.equal_reward == inspection.to_dict()["equal_reward"] == equal
    assert inspect(replace(LOGS, trials=0 * LOGS.trials, successes=0 * LOGS.trials)).equal_reward is None


def test_success_rates_are_of_trials_and_have_an_interval_over_groups() -> None:
    think = inspect(LOGS).prompts[0].success_rate
    assert think is not None
    assert think.value == pytest.approx(5 / 7)
    assert 0 <= think.low < think.value < think.high <= 1
    assert (think.n_queries, think.n_groups, think.n_trials, think.n_left_out) == (3, 2, 7, 1)


def test_a_prompt_without_trials_is_named_and_has_no_rate() -> None:
    inspection = inspect(demonstrations([[1, 0]] * 4, [[1, 0]] * 4, [[0, 1]] * 4))
    assert inspection.prompts_without_trials == ("answer",)
    assert inspection.prompts[1].success_rate is None
    assert inspection.prompts[0].success_rate is not None


def test_agreement_counts_the_pairs_of_samples_that_agree() -> None:
    repeats = inspect(demonstrations([[4, 1], [2, 0], [0, 3], [1, 1]], [[3, 0], [2, 0], [0, 1], [0, 1]])).repeats
    assert (repeats.n_cells, repeats.n_trials) == (3, 9)
    assert repeats.agreement is not None
    of_cells = [(3 * 2 + 0) / 12, 1.0, (0 + 2 * 1) / 6]
    assert repeats.agreement.value == pytest.approx(np.mean(of_cells))
    assert repeats.agreement.n_groups == 2


def test_agreement_is_unbiased() -> None:
    """Averaged over many cells it is p² + (1 - p)², however few samples each cell has."""
    rng = np.random.default_rng(0)
    n_queries, p = 4000, 0.3
    trials = np.full((n_queries, 1), 2)
    queries = tuple(f"query {''.join(chr(97 + int(digit)) for digit in str(number))}" for number in range(n_queries))
    logs = demonstrations(trials.tolist(), rng.binomial(2, p, size=(n_queries, 1)).tolist(), None, queries, PROMPTS[:1])
    agreement = inspect(logs).repeats.agreement
    assert agreement is not None
    assert agreement.low < p**2 + (1 - p) ** 2 < agreement.high
    assert agreement.high - agreement.low < 0.05


def test_no_repeats() -> None:
    repeats = inspect(demonstrations([[1, 1]] * 4, [[1, 0]] * 4)).repeats
    assert (repeats.n_cells, repeats.n_trials, repeats.agreement) == (0, 0, None)


def test_near_duplicates_are_grouped_the_largest_first() -> None:
    queries = ("a 1", "b 1", "b 2", "c 1", "c 2", "c 3", "c 4", "d")
    duplicates = inspect(demonstrations([[1, 1]] * 8, [[1, 0]] * 8, None, queries)).duplicates
    assert (duplicates.n_groups, duplicates.n_groups_of_several, duplicates.n_queries_in_them) == (4, 2, 6)
    assert [group.template for group in duplicates.largest] == ["c 0", "b 0"]
    assert (duplicates.largest[0].n_queries, duplicates.largest[0].examples) == (4, ("c 1", "c 2", "c 3"))


def test_overlap_with_a_second_set() -> None:
    other = demonstrations(
        [[1, 1, 1]] * 3,
        [[1, 0, 0]] * 3,
        None,
        ("Tom has 3 apples.", "Ann sells 99 pens", "Is it new?"),
        (PROMPTS[1], Prompt.from_text("Think hard.", id="think"), Prompt.from_text("New.", id="new")),
    )
    overlap = inspect(LOGS, other).overlap
    assert overlap is not None
    assert (overlap.n_queries, overlap.n_same_text, overlap.n_same_template) == (3, 1, 2)
    assert overlap.examples == ("Tom has 3 apples.", "Ann sells 99 pens")
    assert (overlap.shared_prompts, overlap.conflicting_prompts) == (("answer",), ("think",))
    assert inspect(LOGS).overlap is None


def test_one_query_only() -> None:
    inspection = inspect(LOGS.select_queries(np.array([0])))
    assert inspection.prompts[0].success_rate is None
    assert (inspection.prompts[0].successes, inspection.prompts[0].trials) == (3, 4)


def test_it_can_be_written_as_json() -> None:
    fields = json.loads(json.dumps(inspect(LOGS, LOGS).to_dict(), allow_nan=False))
    assert fields["prompts"][0]["success_rate"]["value"] == pytest.approx(5 / 7)
    assert fields["overlap"]["n_same_text"] == 4
