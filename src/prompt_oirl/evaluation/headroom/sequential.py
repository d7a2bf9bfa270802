"""Choose by all trials of a query but one of each prompt, and measure the choice on the trials left out.

Blocks of query groups come one after the other, in random order. The rule for a block is learnt on the blocks before
it, never on later ones: so the gains of the blocks, given all before, are new evidence (a martingale), and a standard
error holds. With rules learnt on all other blocks it does not where prompts are about equally good: there, the trials
that lead one block's rule are what the other's choices are measured on, and the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation.estimate import Outcomes
from prompt_oirl.evaluation.headroom.moments import BlockSums, Moments
from prompt_oirl.evaluation.headroom.trials_choice import TrialsChoice
from prompt_oirl.policies import best_single_of
from prompt_oirl.randomness import generator

__all__ = ["SequentialChoices", "choose_in_sequence"]

_N_ROUNDS = 8
_SHARE_TO_START_WITH = 0.1
"""Of the blocks: these are learnt from only."""


@dataclass(frozen=True, eq=False)
class SequentialChoices:
    """Choices by trials, each measured on trials that neither it nor its rule has seen.

    In each round one trial of every prompt, drawn at random, is left out on every query.
    """

    demonstrations: Demonstrations

    rules: tuple[TrialsChoice, ...]
    """Of each of the last blocks, learnt on the blocks before it."""

    which_rule: IntArray
    """(n_queries,) index of the rule that chose; −1 for the queries of the first blocks."""

    choices: IntArray
    """(n_rounds, n_queries) index of the chosen prompt, one of those that were tried; −1 without a rule."""

    rewards: FloatArray
    """(n_rounds, n_queries, n_prompts) reward of the trial left out, NaN where the prompt was not tried."""

    @property
    def baseline(self) -> IntArray:
        """(n_queries,) index of the best single prompt of the blocks before; that of the first rule for the first."""
        best = np.array([rule.best_single for rule in self.rules])
        baseline: IntArray = best[np.maximum(self.which_rule, 0)]
        return baseline

    @property
    def is_measured(self) -> BoolArray:
        """(n_queries,) whether there is a rule, and a trial left to choose by."""
        measured: BoolArray = (self.which_rule >= 0) & (self.demonstrations.trials.max(axis=1) > 1)
        return measured

    def gain_over(self, prompts: IntArray, *, groups: IntArray) -> Outcomes:
        """Return what the choices gained over a prompt for each query, NaN where that is not measured.

        Args:
            prompts: (n_queries,) index of the prompt to compare with.
            groups: (n_queries,) group numbers.
        """
        rows = np.arange(len(prompts))
        chosen = np.take_along_axis(self.rewards, np.maximum(self.choices, 0)[:, :, None], axis=2)[:, :, 0]
        differences = (chosen - self.rewards[:, rows, prompts]).mean(axis=0)
        is_known = self.is_measured & ~np.isnan(differences)
        return Outcomes(
            values=np.where(is_known, differences, np.nan),
            weights=self.demonstrations.repeats.astype(np.float64),
            groups=groups,
            n_trials=int(self.demonstrations.trials[is_known].sum()),
            can_vary=(self.choices != prompts).any(axis=0),
        )


def choose_in_sequence(
    demonstrations: Demonstrations, blocks: IntArray, sums: BlockSums, *, seed: int
) -> SequentialChoices | None:
    """Choose by trials block after block; None where there are too few blocks with repeated trials.

    Args:
        demonstrations: Logged trials.
        blocks: (n_queries,) block of each query, in the order in which they come.
        sums: Over these blocks.
        seed: Of the trials left out.
    """
    first = _first_block(sums)
    if first is None:
        return None
    rules = tuple(_rule(demonstrations, blocks, sums, block) for block in range(first, sums.n_blocks))
    left_out = _left_out(demonstrations, generator(seed))
    choices: IntArray = np.full(left_out.shape[:2], -1, dtype=np.int64)
    for block, rule in enumerate(rules, start=first):
        inside = np.flatnonzero(blocks == block)
        choices[:, inside] = _choose(rule, demonstrations, inside, left_out[:, inside])
    rewards = np.where(demonstrations.trials > 0, left_out, np.nan)
    return SequentialChoices(demonstrations, rules, np.maximum(blocks - first, -1), choices, rewards)


def _first_block(sums: BlockSums) -> int | None:
    """Return the first block to choose for: some blocks are before it, and among them repeated trials."""
    least = max(2, round(_SHARE_TO_START_WITH * sums.n_blocks))
    blocks = range(least, sums.n_blocks)
    return next((block for block in blocks if Moments.of(sums.before(block)).has_repeats), None)


def _rule(demonstrations: Demonstrations, blocks: IntArray, sums: BlockSums, block: int) -> TrialsChoice:
    """Return the rule learnt on the blocks before one."""
    before = demonstrations.select_queries(np.flatnonzero(blocks < block))
    return TrialsChoice.of_sums(sums.before(block), best_single=best_single_of(before))


def _choose(rule: TrialsChoice, demonstrations: Demonstrations, rows: IntArray, left_out: IntArray) -> IntArray:
    """Return (n_rounds, n_rows) choices by the trials that each round leaves."""
    n_rounds, n_prompts = len(left_out), demonstrations.n_prompts
    is_tried: BoolArray = demonstrations.trials[rows] > 0
    successes = (demonstrations.successes[rows] - left_out).reshape(-1, n_prompts)
    trials = np.tile(demonstrations.trials[rows] - is_tried, (n_rounds, 1))
    return rule.choose(successes, trials, among=np.tile(is_tried, (n_rounds, 1))).reshape(n_rounds, -1)


def _left_out(demonstrations: Demonstrations, rng: np.random.Generator) -> IntArray:
    """Return (n_rounds, n_queries, n_prompts) rewards, 0 or 1, of a random trial of each cell; 0 where there is none.

    Over the rounds a cell's trials are left out about equally often, in an order of its own.
    """
    shape = (_N_ROUNDS, *demonstrations.trials.shape)
    strata = rng.random(shape).argsort(axis=0)
    share = demonstrations.successes / np.maximum(demonstrations.trials, 1)
    left_out: IntArray = ((strata + rng.random(shape)) / _N_ROUNDS < share).astype(np.int64)
    return left_out
