"""Decisions of a policy that explores in a typed world, logged with their propensities."""

from __future__ import annotations

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.errors import ParameterError
from prompt_oirl.sources.logged_decisions import LoggedDecisions
from prompt_oirl.testing.typed_world import TypedWorld

__all__ = ["explored_decisions"]


def explored_decisions(world: TypedWorld, *, epsilon: float = 0.3) -> LoggedDecisions:
    """Log one decision each time that a query of the world is asked, by an ε-greedy policy.

    With probability ε it takes any prompt, each as likely, else the truly best for the query's class. So it knows more
    than the text tells: what it gave a prompt to differs from the rest in a way that no model of the texts can see.

    Args:
        world: Whose queries are asked.
        epsilon: Above 0 and at most 1.

    Raises:
        ParameterError: `epsilon` is out of its range.
    """
    if not 0 < epsilon <= 1:
        raise ParameterError(f"epsilon={epsilon}: above 0 and at most 1 is needed; at 0 nothing would be explored")
    rng = np.random.default_rng([world.seed, 3, world.draw])
    rows = np.repeat(np.arange(world.n_queries), world.times_asked)
    greedy = world.rates.argmax(axis=1)[world.classes[rows]]
    probabilities: FloatArray = np.full((len(rows), world.n_prompts), epsilon / world.n_prompts)
    probabilities[np.arange(len(rows)), greedy] += 1 - epsilon
    is_explored = rng.random(len(rows)) < epsilon
    chosen = np.where(is_explored, rng.integers(0, world.n_prompts, len(rows)), greedy)
    succeeds = rng.random(len(rows)) < world.success_probabilities[rows, chosen]
    return LoggedDecisions(
        world.queries,
        world.prompts,
        rows,
        chosen,
        succeeds.astype(np.float64),
        action_probabilities=probabilities,
    )
