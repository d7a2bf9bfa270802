"""What sets of prompts of each size could achieve where a query's own trials tell which prompt suits it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.headroom.trials_choice import TrialsChoice
from prompt_oirl.evaluation.portfolio.outcomes import Draw, deal_to_halves
from prompt_oirl.evaluation.portfolio.portfolio import Portfolio, measured_portfolio
from prompt_oirl.evaluation.portfolio.subsets import SubsetSearch
from prompt_oirl.randomness import generator

__all__ = ["portfolio_by_trials"]


def portfolio_by_trials(
    demonstrations: Demonstrations,
    *,
    groups: IntArray,
    keep: float = 0.95,
    n_seeds: int = 5,
    level: float = 0.95,
    seed: int = 0,
) -> Portfolio:
    """Measure portfolios as `portfolio` does, with choices by the query's other trials in place of a model's scores.

    In each draw one trial of every prompt is left out on every query. Choices go by the other trials and a rule that
    was learnt on the other half of the groups (`TrialsChoice`), and are measured on the trials left out. No model of
    the text can be had that way: it says what a portfolio could achieve, at least, if choices were better.

    Args:
        demonstrations: Training demonstrations; only queries on which every prompt was tried twice or more count.
        groups: (n_queries,) group numbers.
        keep: Share to be kept.
        n_seeds: Number of draws of the halves and of the trials left out.
        level: Coverage of the intervals.
        seed: First of the seeds.

    Raises:
        DataError: Fewer than four groups have a query on which every prompt was tried twice.
    """
    rows = np.flatnonzero((demonstrations.trials > 1).all(axis=1))
    of_rows = np.asarray(groups)[rows]
    if len(np.unique(of_rows)) < 4:
        raise DataError(
            f"{len(rows)} queries have two trials of every prompt: choosing by a query's own trials needs repeats; "
            "collect again with two or more samples of each query and prompt"
        )
    repeated = demonstrations.select_queries(rows)
    draws = [_draw(repeated, of_rows, each) for each in range(seed, seed + n_seeds)]
    return measured_portfolio(repeated, draws, groups=of_rows, keep=keep, level=level)


def _draw(demonstrations: Demonstrations, groups: IntArray, seed: int) -> Draw:
    left_out = _leave_trials_out(demonstrations, seed)
    halves = deal_to_halves(demonstrations, groups, seed)
    scores, rates = np.empty(demonstrations.trials.shape), np.empty(demonstrations.trials.shape)
    for train, test in (halves, halves[::-1]):
        rule = TrialsChoice.chosen_on(demonstrations.select_queries(train), groups=groups[train], seed=seed)
        successes = demonstrations.successes[test] - left_out[test]
        rates[test] = rule.means
        scores[test] = rule.expected_rewards(successes, demonstrations.trials[test] - 1)
    # Each left-out trial counts for all of its cell, so that a query still counts as often as it was asked.
    measured = replace(demonstrations, successes=left_out * demonstrations.trials)
    everything = np.arange(demonstrations.n_queries)
    return Draw(SubsetSearch(measured, scores, [*halves, everything], 0.0, rates), (0, 1))


def _leave_trials_out(demonstrations: Demonstrations, seed: int) -> IntArray:
    """Return (n_queries, n_prompts) rewards, 0 or 1, of one random trial of each cell."""
    rng = generator(seed)
    share = demonstrations.successes / demonstrations.trials
    left_out: IntArray = (rng.random(share.shape) < share).astype(np.int64)
    return left_out
