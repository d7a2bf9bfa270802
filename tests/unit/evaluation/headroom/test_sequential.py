from __future__ import annotations

import numpy as np

from prompt_oirl.evaluation.estimate import estimate
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.moments import BlockSums, blocks_of
from prompt_oirl.evaluation.headroom.sequential import choose_in_sequence


def test_a_later_block_changes_no_earlier_choice(draw, crossed) -> None:
    logs = draw(crossed)
    blocks = blocks_of(logs, logs.groups(), seed=0)
    changed = np.where(blocks[:, None] == 19, logs.trials - logs.successes, logs.successes)
    other = type(logs)(logs.queries, logs.prompts, logs.trials, changed, logs.unscored)
    first, second = (choose_in_sequence(each, blocks, BlockSums.of(each, blocks), seed=0) for each in (logs, other))
    assert first is not None
    assert second is not None
    earlier = blocks != 19
    assert (first.choices[:, earlier] == second.choices[:, earlier]).all()
    assert (first.choices[:, ~earlier] != second.choices[:, ~earlier]).any()


def test_the_trial_that_judges_did_not_choose(draw) -> None:
    """Fair coins: whoever looks at the judging trial gains, whoever does not gains nothing."""
    logs = draw(np.full((4000, 3), 0.5), 2)
    found = BlockedLogs.of(logs, by="template", seed=0)
    assert found.choices is not None
    gain = estimate(found.choices.gain_over(found.choices.baseline, groups=found.groups))
    assert gain.low < 0 < gain.high


def test_left_out_rewards_are_the_cells_own(draw, crossed) -> None:
    logs = draw(crossed, np.random.default_rng(0).integers(0, 4, crossed.shape))
    found = BlockedLogs.of(logs, by="template", seed=0).choices
    assert found is not None
    assert (np.isnan(found.rewards).all(axis=0) == (logs.trials == 0)).all()
    assert (found.rewards[:, logs.successes == 0][~np.isnan(found.rewards[:, logs.successes == 0])] == 0).all()
    always = (logs.successes == logs.trials) & (logs.trials > 0)
    assert (found.rewards[:, always] == 1).all()
    half = (logs.trials == 2) & (logs.successes == 1)
    assert (found.rewards[:, half].mean(axis=0) == 0.5).all()


def test_only_tried_prompts_are_chosen(draw, crossed) -> None:
    logs = draw(crossed, np.random.default_rng(0).integers(0, 4, crossed.shape))
    found = BlockedLogs.of(logs, by="template", seed=0).choices
    assert found is not None
    is_known = found.is_measured
    assert is_known.sum() > 400
    assert (np.take_along_axis(logs.trials, found.choices.T, axis=1)[is_known] > 0).all()


def test_without_repeats_there_is_nothing_to_choose_by(draw, crossed) -> None:
    assert BlockedLogs.of(draw(crossed, 1), by="template", seed=0).choices is None
