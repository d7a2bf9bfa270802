from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.evaluation import policy_value
from prompt_oirl.report.success_rates import average_values
from prompt_oirl.testing import SyntheticWorld


def test_each_rate_rests_on_all_queries_where_its_prompt_was_tried() -> None:
    """And not on those alone where both were, on too many of which both choose the same prompt."""
    logs = SyntheticWorld(n_queries=200, missing=0.5, seed=2).demonstrations
    groups = logs.groups()
    choices, single = np.random.default_rng(0).integers(0, 3, 200), np.zeros(200, dtype=int)
    found = average_values(logs, [(choices, single)], groups=groups, level=0.95)
    assert found == tuple(policy_value(logs, each, groups=groups) for each in (choices, single))


def test_draws_are_averaged_query_by_query() -> None:
    logs = SyntheticWorld(n_queries=100, missing=0.0, unparsable=0.0).demonstrations
    groups, draws = logs.groups(), np.random.default_rng(1).integers(0, 3, (4, 100))
    single = np.zeros(100, dtype=int)
    value, _ = average_values(logs, [(choices, single) for choices in draws], groups=groups, level=0.95)
    of_draws = [policy_value(logs, choices, groups=groups).value for choices in draws]
    assert value.value == pytest.approx(np.mean(of_draws))
    assert value.n_queries == 100
