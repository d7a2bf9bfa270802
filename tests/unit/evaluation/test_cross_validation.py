from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation import average_gain, cross_validate, cross_validated_gain, gain
from prompt_oirl.policies import BestSinglePrompt
from prompt_oirl.records import Prompt, Query
from prompt_oirl.splits import query_template
from prompt_oirl.testing import SyntheticWorld


@dataclass
class SaysWhetherSeen:
    """Chooses prompt 1 for queries whose template it was trained on, else prompt 0."""

    train: Demonstrations

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        seen = {query_template(query.text) for query in self.train.queries}
        return np.array([int(query_template(query.text) in seen) for query in queries])


@pytest.fixture(scope="module")
def logs() -> Demonstrations:
    return SyntheticWorld(n_queries=300, seed=1).demonstrations


def test_no_query_is_chosen_for_by_a_policy_that_saw_its_group(logs: Demonstrations) -> None:
    found = cross_validate(SaysWhetherSeen, logs, seed=0)
    assert (found.choices == 0).all()
    assert (cross_validate(SaysWhetherSeen, logs, seed=0, by="question").choices == 1).any()


def test_each_fold_has_its_own_baseline(logs: Demonstrations) -> None:
    found = cross_validate(BestSinglePrompt.chosen_on, logs, n_folds=4, seed=0)
    assert np.array_equal(found.choices, found.baseline)
    for fold in range(4):
        training = logs.select_queries(np.flatnonzero(found.folds != fold))
        expected = logs.prompt_ids.index(BestSinglePrompt.chosen_on(training).prompt_id)
        assert set(found.baseline[found.folds == fold]) == {expected}
    assert gain(logs, found.choices, found.baseline, groups=found.groups).value == 0.0


def test_folds_keep_groups_whole_and_are_seeded(logs: Demonstrations) -> None:
    found, again, other = (cross_validate(SaysWhetherSeen, logs, seed=seed) for seed in (0, 0, 1))
    folds_of_group = [set(found.folds[found.groups == group]) for group in np.unique(found.groups)]
    assert all(len(folds) == 1 for folds in folds_of_group)
    assert set(found.folds) == set(range(5))
    assert np.array_equal(found.folds, again.folds)
    assert not np.array_equal(found.folds, other.folds)


def test_seeds_are_averaged_over_the_same_queries(logs: Demonstrations) -> None:
    runs = [cross_validate(lambda _: BestSinglePrompt("check"), logs, seed=seed) for seed in range(3)]
    mean = average_gain(logs, [(run.choices, run.baseline) for run in runs], groups=runs[0].groups)
    one = gain(logs, runs[0].choices, runs[0].baseline, groups=runs[0].groups)
    independent = 3**-0.5  # what the interval would shrink by if seeds were data
    assert mean.high - mean.low > (independent + 0.1) * (one.high - one.low)


def test_folds_need_groups(logs: Demonstrations) -> None:
    with pytest.raises(ParameterError, match="5 folds need at least 5 groups"):
        cross_validate(SaysWhetherSeen, logs.select_queries(np.arange(3)), seed=0)


@dataclass
class Alternates:
    """Chooses one of two prompts by the length of the query."""

    train: Demonstrations

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        return np.array([len(query.text) % 2 for query in queries])


@pytest.mark.parametrize(("n_folds", "seeds"), [(5, (0,)), (4, (0,)), (5, (0, 1, 2))])
def test_the_interval_allows_for_what_folds_share(logs: Demonstrations, n_folds: int, seeds: tuple[int, ...]) -> None:
    runs = [cross_validate(Alternates, logs, n_folds=n_folds, seed=seed) for seed in seeds]
    found = cross_validated_gain(logs, runs)
    singles = [gain(logs, run.choices, run.baseline, groups=run.groups) for run in runs]
    variance = np.mean([(single.high - single.value) ** 2 for single in singles])
    assert found.value == pytest.approx(np.mean([single.value for single in singles]), abs=5e-3)
    expected = np.sqrt(variance * (1 / len(seeds) + n_folds / (n_folds - 1)))
    assert found.high - found.value == pytest.approx(expected)
    assert found.value - found.low == pytest.approx(expected)
    by_bootstrap = cross_validated_gain(logs, runs, method="bootstrap")
    assert by_bootstrap.high - by_bootstrap.low == pytest.approx(2 * expected, rel=0.15)


def test_where_nothing_is_chosen_otherwise_the_interval_stays_closed(logs: Demonstrations) -> None:
    found = cross_validated_gain(logs, [cross_validate(BestSinglePrompt.chosen_on, logs, seed=0)])
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)


def test_runs_must_have_as_many_folds(logs: Demonstrations) -> None:
    runs = [cross_validate(Alternates, logs, n_folds=n, seed=0) for n in (4, 5)]
    with pytest.raises(ParameterError, match=r"runs with \[4, 5\] folds"):
        cross_validated_gain(logs, runs)
    with pytest.raises(ParameterError, match="at least one run"):
        cross_validated_gain(logs, [])
    with pytest.raises(ParameterError, match="n_folds=1"):
        average_gain(logs, [(runs[0].choices, runs[0].baseline)], groups=runs[0].groups, n_folds=1)
