"""What the package says of a typed world's logs, beside what is true there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation import CrossValidation, Estimate, cross_validate, gain
from prompt_oirl.evaluation import cross_validated_gain as estimate_cross_validated_gain
from prompt_oirl.evaluation.estimate import Outcomes, estimate
from prompt_oirl.evaluation.headroom import Headroom, headroom
from prompt_oirl.evaluation.headroom.blocked_logs import BlockedLogs
from prompt_oirl.evaluation.headroom.trials_choice import TrialsChoice
from prompt_oirl.evaluation.off_policy import ESTIMATORS, Estimator, off_policy_values
from prompt_oirl.policies import BestOfN, BestSinglePrompt
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Query
from prompt_oirl.selection import Candidate
from prompt_oirl.sources.logged_decisions import LoggedDecisions
from prompt_oirl.testing.exploration import explored_decisions
from prompt_oirl.testing.type_means import TypeMeans
from prompt_oirl.testing.typed_world import ATTRIBUTES, TypedWorld

__all__ = [
    "BY_TYPE",
    "Measured",
    "MeasuredHeadroom",
    "Recommended",
    "best_by_type",
    "cross_validated",
    "cross_validated_gain",
    "gain_of_knowing",
    "held_out_gain",
    "measured_headroom",
    "off_policy_gains",
    "recommended",
]

_HEAD_STARTS = (0.0, 0.02, 0.05)

_N_OF_A_CLASS = 250
"""Fresh queries of each class, for truths that are no sums: so many that their luck is about 0.05 points."""

_N_ROUNDS = 4
"""Of trials left out."""


@dataclass(frozen=True)
class Measured:
    """An estimate and the truth that it is of."""

    estimate: Estimate
    truth: float

    @property
    def error(self) -> float:
        """The estimate less the truth."""
        return self.estimate.value - self.truth

    @property
    def covers(self) -> bool:
        """Whether the truth is in the interval."""
        return self.estimate.low - 1e-9 <= self.truth <= self.estimate.high + 1e-9


@dataclass(frozen=True)
class Recommended:
    """What became of a recommender."""

    pays: bool
    """Whether it claims that choosing per query pays."""

    harm: float
    """What it truly loses against the best single prompt of the logs; negative for a gain."""

    harm_to_best: float
    """What it truly loses against the truly best single prompt, which nobody knows."""

    harm_of_single: float
    """What the best single prompt of the logs loses against it."""


@dataclass(frozen=True)
class MeasuredHeadroom:
    """What is said of the headroom, and what is true."""

    found: Headroom
    true_headroom: float
    by_trials: Measured | None
    by_policy: Measured | None

    @property
    def is_bracketed(self) -> bool:
        """Whether the true headroom lies between the lower ends of the floors and the upper end of the ceiling."""
        floors = [each.estimate.low for each in (self.by_trials, self.by_policy) if each is not None]
        return max(floors, default=0.0) <= self.true_headroom + 1e-9 <= self.found.ceiling.high + 2e-9


def best_by_type(demonstrations: Demonstrations) -> BestOfN:
    """Learn which prompt is best for each type."""
    single = BestSinglePrompt.chosen_on(demonstrations).prompt_id
    return BestOfN(TypeMeans().fit(demonstrations), best_single=single)


def held_out_gain(world: TypedWorld) -> Measured:
    """Learn a policy on one half of the clusters and measure its gain on the other; the truth is that policy's."""
    train, test = world.demonstrations.split(test_size=0.5, seed=0)
    policy, single = best_by_type(train), BestSinglePrompt.chosen_on(train)
    choices, baseline = (each.choose(test.queries, test.prompts) for each in (policy, single))
    return Measured(gain(test, choices, baseline, groups=test.groups()), world.true_gain(policy, single))


def cross_validated(world: TypedWorld, *, seed: int = 0) -> tuple[CrossValidation, float]:
    """Return out-of-fold choices, and the mean true gain of the folds' policies, each weighted by what it chose for.

    Args:
        world: With the logs.
        seed: Of the folds.
    """
    gains: list[float] = []

    def make(training: Demonstrations) -> BestOfN:
        policy = best_by_type(training)
        gains.append(world.true_gain(policy, BestSinglePrompt.chosen_on(training)))
        return policy

    made = cross_validate(make, world.demonstrations, seed=seed)
    weights = np.bincount(made.folds, weights=world.demonstrations.repeats)
    return made, float(np.average(gains, weights=weights))


def cross_validated_gain(world: TypedWorld, *, n_seeds: int = 1) -> Measured:
    """Measure the cross-validated gain; the truth is the mean gain of the folds' policies.

    Args:
        world: With the logs.
        n_seeds: Seeds of the folds to average over.
    """
    made, truths = zip(*(cross_validated(world, seed=seed) for seed in range(n_seeds)), strict=True)
    found = estimate_cross_validated_gain(world.demonstrations, made)
    return Measured(found, float(np.mean(truths)))


BY_TYPE = tuple(Candidate(name, TypeMeans(name), _HEAD_STARTS) for name in ATTRIBUTES)
"""Candidates that read the type, which matters, or the colour or the size, which do not. They are unsteady on purpose:
little smoothed, so that their choices follow luck where there is nothing else."""


def recommended(
    world: TypedWorld, candidates: Sequence[Candidate] | None = BY_TYPE, *, n_fresh: int = 0
) -> Recommended:
    """Fit a recommender.

    Args:
        world: With the logs.
        candidates: The default ones if None.
        n_fresh: For candidates that read more of a text than type, colour and size; see `TypedWorld.true_value`.
    """
    recommender = Recommender(candidates).fit(world.demonstrations)
    value = world.true_value(recommender.policy_, n_fresh=n_fresh)
    of_single, best = world.true_value(recommender.best_single_), float(world.prompt_values.max())
    return Recommended(
        pays=recommender.selection_.pays,
        harm=0.0 if not recommender.selection_.pays else of_single - value,
        harm_to_best=best - value,
        harm_of_single=best - of_single,
    )


def measured_headroom(world: TypedWorld, *, n_draws: int = 5) -> MeasuredHeadroom:
    """Look for headroom, with the cross-validated choice by type as a floor.

    Args:
        world: With the logs.
        n_draws: Of the folds, as many as `inspect --headroom` and the report take.
    """
    draws, truths = zip(*(cross_validated(world, seed=seed) for seed in range(n_draws)), strict=True)
    found = headroom(world.demonstrations, policy=draws)
    return MeasuredHeadroom(
        found=found,
        true_headroom=world.true_headroom,
        by_trials=None if found.by_trials is None else Measured(found.by_trials, _true_gain_by_trials(world)),
        by_policy=None if found.by_policy is None else Measured(found.by_policy, float(np.mean(truths))),
    )


def gain_of_knowing(world: TypedWorld, *, level: float = 0.95, seed: int = 0) -> Estimate:
    """Estimate what would be gained by who knows the success probabilities of every class, and must guess the class.

    Of a query is known its type and all its trials but one of each prompt, on which the choice is measured. Nobody can
    choose better by these logs; who must learn the probabilities too will be seen to gain less often.

    Args:
        world: With the logs.
        level: Coverage of the interval.
        seed: Of the trials left out.
    """
    rng, logs = np.random.default_rng(seed), world.demonstrations
    rows, single = np.arange(world.n_queries), world.best_single
    rates = world.rates.clip(1e-9, 1 - 1e-9)
    of_type = np.arange(len(rates)) // world.n_variants == (world.classes // world.n_variants)[:, None]
    prior = np.where(of_type, world.class_shares, 0.0)
    differences = np.zeros((_N_ROUNDS, world.n_queries))
    for round in range(_N_ROUNDS):
        left_out = rng.random(logs.trials.shape) * logs.trials < logs.successes
        right = logs.successes - left_out
        wrong = np.maximum(logs.trials - 1, 0) - right
        likelihood = np.exp(right @ np.log(rates).T + wrong @ np.log1p(-rates).T)
        choices = (prior * likelihood @ rates).argmax(axis=1)
        differences[round] = left_out[rows, choices].astype(float) - left_out[rows, single]
    outcomes = Outcomes(
        values=differences.mean(axis=0),
        weights=logs.repeats.astype(np.float64),
        groups=world.clusters,
        n_trials=int(logs.trials.sum()),
    )
    return estimate(outcomes, level=level)


def _true_gain_by_trials(world: TypedWorld) -> float:
    """Return what the rules by which headroom is looked for truly gain, each weighted by what it chose for."""
    logs = BlockedLogs.of(world.demonstrations, by="template", seed=0)
    if logs.choices is None:
        raise ParameterError("the world has no repeated trials to choose by")
    measured = logs.choices.is_measured
    how_often = np.bincount(logs.choices.which_rule[measured], weights=logs.weights[measured])
    rng, n_of_a_class = np.random.default_rng([world.seed, 4]), max(_N_OF_A_CLASS // len(how_often), 1)
    gains = [_true_gain_of_rule(rule, world, n_of_a_class, rng) for rule in logs.choices.rules[: len(how_often)]]
    return float(np.average(gains, weights=how_often))


def _true_gain_of_rule(rule: TrialsChoice, world: TypedWorld, n_of_a_class: int, rng: np.random.Generator) -> float:
    """Return what a rule gains by all trials but one, over fresh queries that have more."""
    rates, shares = (np.repeat(of_class, n_of_a_class, axis=0) for of_class in (world.rates, world.class_shares))
    asked = rng.integers(world.repeats[0], world.repeats[1] + 1, len(rates))
    trials = rng.binomial(asked[:, None], 1 - world.missing, rates.shape)
    left = np.maximum(trials - 1, 0)
    choices = rule.choose(rng.binomial(left, rates), left, among=trials > 0)
    gains = rates[np.arange(len(rates)), choices] - rates[:, rule.best_single]
    return float(np.average(gains, weights=shares * left.any(axis=1) * trials.max(axis=1)))


def off_policy_gains(world: TypedWorld, *, epsilon: float = 0.3) -> dict[Estimator, tuple[Measured, Measured]]:
    """Estimate value and gain of a policy by an ε-greedy policy's decisions; the policy comes from other logs."""
    policy, single = (make(world.again(1).demonstrations) for make in (best_by_type, BestSinglePrompt.chosen_on))
    decisions = explored_decisions(world, epsilon=epsilon)
    target, baseline = (each.choose(decisions.queries, decisions.prompts) for each in (policy, single))
    found = off_policy_values(decisions, target, baseline=baseline, scores=_scores_by_type)
    value, gained = world.true_value(policy), world.true_gain(policy, single)
    measured = {}
    for estimator in ESTIMATORS:
        estimates = found[estimator]
        if estimates.value is not None and estimates.gain is not None:
            measured[estimator] = Measured(estimates.value, value), Measured(estimates.gain, gained)
    return measured


def _scores_by_type(decisions: LoggedDecisions, queries: Sequence[Query]) -> FloatArray:
    """Return (n_queries, n_prompts) success rates by type, as the decisions have them."""
    counted = Demonstrations.from_cells(
        decisions.queries,
        decisions.prompts,
        rows=decisions.rows,
        columns=decisions.chosen,
        rewards=decisions.rewards.astype(np.int64),
    )
    return TypeMeans().fit(counted).score(queries, decisions.prompts).clip(0.0, 1.0)
