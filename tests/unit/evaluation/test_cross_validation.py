from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation import average_gain, cross_validate, gain
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
