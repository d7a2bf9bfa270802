"""A simulated LLM whose success probability on every problem with every prompt is known.

Whether it succeeds depends on what can be read off the problem, on the prompt, and on their interaction: answering at
once does for short sums and fails at several steps, listing the facts pays where one of them is irrelevant. These
numbers are invented. They stand for no real LLM, and nothing follows from them for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from prompt_oirl.arrays import FloatArray
from prompt_oirl.records import Prompt
from prompt_oirl.testing.problems import Problem

__all__ = ["PROMPTS", "success_probabilities", "write_answer", "write_unparsable_answer"]

PROMPTS = (
    Prompt.from_text("Give the final number straight away.", id="at-once"),
    Prompt.from_text("Work through it one small step at a time, then state the result.", id="small-steps"),
    Prompt.from_text("Write it as one equation, solve the equation, and state the result.", id="equation"),
    Prompt.from_text("First list the facts that matter and set the others aside. Then solve it.", id="facts-first"),
    Prompt.from_text("Guess the size of the result first, then calculate, and see whether the two agree.", id="check"),
    Prompt.from_text("Retell the problem in your own words before you solve it.", id="retell"),
)

_EASE = 0.13
"""Logit of success on a problem of average traits with a prompt of ease 0."""

_EASE_OF_PROMPT = np.array([0.0, 0.35, 0.15, 0.1, 0.2, -0.3])

_EASE_OF_TRAIT = np.array([0.8, 0.0, 0.2, -0.8, -0.5, -0.4])

_AFFINITY = np.array(
    # at-once, small-steps, equation, facts-first, check, retell
    [
        [+1.0, -0.3, -0.2, -0.1, +0.0, -0.4],  # addition
        [-0.6, +0.0, -0.1, +0.1, +0.0, +1.0],  # comparison
        [+0.1, -0.1, +0.8, -0.4, +0.0, -0.4],  # multiplication
        [-1.3, +0.8, +0.3, +0.1, -0.2, -0.7],  # several steps
        [-0.8, -0.1, +0.1, -0.2, +1.0, -0.2],  # large numbers
        [-0.4, -0.2, -0.5, +1.1, -0.2, +0.1],  # an irrelevant fact
    ]
)
"""(n_traits, n_prompts) how well each prompt suits each trait, in logits."""

_SPREAD_OF_QUERIES = 0.6
_SPREAD_OF_CELLS = 0.25
"""Standard deviations, in logits, of what no text shows: a query's own ease, and how well a prompt suits it."""


def _traits(problems: Sequence[Problem]) -> FloatArray:
    """Return (n_problems, n_traits) zeros and ones, in the order of the rows of `_AFFINITY`."""
    return np.array(
        [
            [
                problem.kind == "addition",
                problem.kind == "comparison",
                problem.kind == "multiplication",
                problem.kind == "several steps",
                problem.has_large_numbers,
                problem.has_irrelevant_fact,
            ]
            for problem in problems
        ],
        dtype=np.float64,
    )


def success_probabilities(problems: Sequence[Problem], *, interaction: float, seed: int) -> FloatArray:
    """Return the (n_problems, n_prompts) probability that the answerer is right.

    Logits are the sum of a problem's ease, a prompt's ease, and `interaction` times how well they suit each other. The
    last is centred over prompts and over problems, so with 0 all problems rank the prompts alike, and with more the
    prompts stay about as good on average.
    """
    rng = np.random.default_rng(seed)
    traits = _traits(problems)
    ease = _EASE + (traits - traits.mean(axis=0)) @ _EASE_OF_TRAIT + rng.normal(0, _SPREAD_OF_QUERIES, len(problems))
    suits = traits @ _AFFINITY + rng.normal(0, _SPREAD_OF_CELLS, (len(problems), len(PROMPTS)))
    suits -= suits.mean(axis=0)
    suits -= suits.mean(axis=1, keepdims=True)
    logits: FloatArray = ease[:, None] + _EASE_OF_PROMPT + interaction * suits
    return 1 / (1 + np.exp(-logits))


_ENDINGS: tuple[Callable[[int], str], ...] = (
    lambda number: f"The answer is {number}.",
    lambda number: f"The answer is {number:,}.",
    lambda number: f"Answer: {number:,}",
    lambda number: f"So the final answer is **{number}**.",
    lambda number: f"The result is $\\boxed{{{number}}}$.",
    lambda number: f"That makes {number:,}.",
    lambda number: f"Therefore, the answer is {number}.00.",
)
_OPENINGS = {
    "at-once": "",
    "small-steps": "Let me take it step by step. I need {working}. ",
    "equation": "Let x be what is asked for. The equation is x = {working}. ",
    "facts-first": "The facts that matter give {working}; the rest can be set aside. ",
    "check": "I expect something near {guess:,}. Calculating {working} comes close to that. ",
    "retell": "In other words, {working} is wanted here. ",
}
_UNPARSABLE = (
    "",
    "I am sorry, but I cannot work this out.",
    "There is not enough information to answer.",
    "That is a nice problem! Would you like to solve it together?",
)


def write_answer(problem: Problem, prompt: Prompt, *, is_right: bool, rng: np.random.Generator) -> str:
    """Write an answer in one of several formats, with the right number or with one that a slip leads to."""
    wrong = (problem.slip, problem.gold + 1, problem.gold + 10, 2 * problem.gold)
    number = problem.gold if is_right else wrong[rng.integers(len(wrong))]
    if prompt.id == "at-once":
        return (f"{number}", f"{number:,}", f"{number}.")[rng.integers(3)]
    opening = _OPENINGS[prompt.id].format(working=problem.working, guess=round(number, 1 - len(str(number))))
    return opening + _ENDINGS[rng.integers(len(_ENDINGS))](number)


def write_unparsable_answer(rng: np.random.Generator) -> str:
    """Write an answer without a number: nothing, a refusal, a digression."""
    return _UNPARSABLE[rng.integers(len(_UNPARSABLE))]
