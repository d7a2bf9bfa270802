"""Arithmetic word problems for the synthetic world, written for this project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

__all__ = ["Kind", "Problem", "draw_problems"]

Kind = Literal["addition", "comparison", "multiplication", "several steps"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One word problem, with what makes it easy or hard."""

    text: str

    gold: int
    """The right answer."""

    kind: Kind

    has_large_numbers: bool

    has_irrelevant_fact: bool

    working: str
    """The right calculation, without its result."""

    slip: int
    """What a typical mistake leads to; never the right answer."""


class _Numbers(NamedTuple):
    """The numbers of a problem: `b` is less than `a` in additions and comparisons, `ab` is their product."""

    a: int
    b: int
    c: int
    d: int

    @property
    def ab(self) -> int:
        return self.a * self.b


@dataclass(frozen=True, slots=True)
class _Wording:
    kind: Kind
    facts: str
    question: str
    working: str
    solve: Callable[[_Numbers], int]
    mistake: Callable[[_Numbers], int]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A problem but for its numbers: equal scenes are near-duplicates."""

    wording: _Wording
    name: str
    other: str
    things: str
    irrelevant: str
    is_large: bool


_WORDINGS = (
    _Wording(
        "addition",
        "{name} counts {a} {things} on Monday and {b} {things} on Tuesday.",
        "How many {things} does {name} count on the two days together?",
        "{a} + {b}",
        lambda n: n.a + n.b,
        lambda n: n.a - n.b,
    ),
    _Wording(
        "addition",
        "One shelf holds {a} {things}. {name} puts {b} {things} on the shelf below.",
        "How many {things} are on the two shelves?",
        "{a} + {b}",
        lambda n: n.a + n.b,
        lambda n: n.a,
    ),
    _Wording(
        "addition",
        "{name} has {a} {things} and gives {b} of them to {other}.",
        "How many {things} does {name} have left?",
        "{a} − {b}",
        lambda n: n.a - n.b,
        lambda n: n.a + n.b,
    ),
    _Wording(
        "addition",
        "{name} wants to collect {a} {things} and has found {b} so far.",
        "How many {things} are still to be found?",
        "{a} − {b}",
        lambda n: n.a - n.b,
        lambda n: n.a + n.b,
    ),
    _Wording(
        "comparison",
        "{name} has {a} {things}, which is {b} more than {other} has.",
        "How many {things} does {other} have?",
        "{a} − {b}",
        lambda n: n.a - n.b,
        lambda n: n.a + n.b,
    ),
    _Wording(
        "comparison",
        "{other} has {a} {things}. That is {b} fewer than {name} has.",
        "How many {things} does {name} have?",
        "{a} + {b}",
        lambda n: n.a + n.b,
        lambda n: n.a - n.b,
    ),
    _Wording(
        "comparison",
        "{name} and {other} compare their {things}. {name} has {a}, and {other} has {b} fewer.",
        "How many {things} do they have between them?",
        "{a} + ({a} − {b})",
        lambda n: 2 * n.a - n.b,
        lambda n: n.a - n.b,
    ),
    _Wording(
        "multiplication",
        "{name} fills {a} boxes with {b} {things} each.",
        "How many {things} are in the boxes?",
        "{a} × {b}",
        lambda n: n.ab,
        lambda n: n.a + n.b,
    ),
    _Wording(
        "multiplication",
        "A hall has {a} tables, and {name} lays {b} {things} on every table.",
        "How many {things} does {name} need for the hall?",
        "{a} × {b}",
        lambda n: n.ab,
        lambda n: n.ab - n.b,
    ),
    _Wording(
        "multiplication",
        "{name} shares {ab} {things} equally among {a} children.",
        "How many {things} does each child get?",
        "{ab} ÷ {a}",
        lambda n: n.b,
        lambda n: n.ab - n.a,
    ),
    _Wording(
        "multiplication",
        "{name} packs {ab} {things} into bags of {b}.",
        "How many bags does {name} fill?",
        "{ab} ÷ {b}",
        lambda n: n.a,
        lambda n: n.ab - n.b,
    ),
    _Wording(
        "several steps",
        "{name} buys {a} bags of {b} {things} each and then gives {c} {things} to {other}.",
        "How many {things} are left?",
        "{a} × {b} − {c}",
        lambda n: n.ab - n.c,
        lambda n: n.ab,
    ),
    _Wording(
        "several steps",
        "{name} already has {c} {things} and buys {a} packets with {b} {things} in each. {other} buys {d} {things}.",
        "How many {things} do the two have in all?",
        "{c} + {a} × {b} + {d}",
        lambda n: n.c + n.ab + n.d,
        lambda n: n.c + n.ab,
    ),
    _Wording(
        "several steps",
        "{name} sells {a} {things} in the morning and {b} in the afternoon, at ${c} each, and pays ${d} for the stall.",
        "How many dollars does {name} earn that day?",
        "({a} + {b}) × {c} − {d}",
        lambda n: (n.a + n.b) * n.c - n.d,
        lambda n: (n.a + n.b) * n.c,
    ),
    _Wording(
        "several steps",
        "{name} makes {a} {things} a day for {b} days, and {other} makes {c} a day for {d} days.",
        "How many {things} do they make together?",
        "{a} × {b} + {c} × {d}",
        lambda n: n.ab + n.c * n.d,
        lambda n: n.a + n.b + n.c + n.d,
    ),
)

_NAMES = (  # noqa: SIM905
    "Amara Bashir Chiara Dmitri Elif Farid Greta Hiro Ines Jonas Kavita Liam Mirela Nadia Oskar Paloma Quentin Rosa "
    "Samir Tove Uma Viktor Wanda Yusuf Zora"
).split()
_THINGS = (  # noqa: SIM905
    "apples marbles stamps postcards pencils buttons seashells walnuts candles ribbons tulips stickers lanterns "
    "teacups notebooks kites lemons badges bookmarks whistles"
).split()
_IRRELEVANT = (
    "{other} is {e} years old.",
    "The walk home takes {e} minutes.",
    "The bus was {e} minutes late that day.",
    "The little shop next door has been open for {e} years.",
    "It was {e} degrees in the shade.",
    "{name} lives at number {e} in the same street as {other}.",
)

_SHARE_IRRELEVANT = 0.35
_SHARE_LARGE = 0.35
_SHARE_NEAR_DUPLICATES = 0.12


def draw_problems(n: int, *, seed: int) -> tuple[Problem, ...]:
    """Draw problems with distinct texts; about one in eight is an earlier one with other numbers."""
    rng = np.random.default_rng(seed)
    scenes: list[_Scene] = []
    problems: dict[str, Problem] = {}
    while len(problems) < n:
        is_near_duplicate = bool(scenes) and rng.random() < _SHARE_NEAR_DUPLICATES
        scene = scenes[rng.integers(len(scenes))] if is_near_duplicate else _draw_scene(rng)
        problem = _draw_problem(scene, rng)
        if problem.text not in problems:
            scenes.append(scene)
            problems[problem.text] = problem
    return tuple(problems.values())


def _draw_scene(rng: np.random.Generator) -> _Scene:
    name, other = rng.choice(_NAMES, size=2, replace=False)
    irrelevant = str(rng.choice(_IRRELEVANT)) if rng.random() < _SHARE_IRRELEVANT else ""
    return _Scene(
        wording=_WORDINGS[rng.integers(len(_WORDINGS))],
        name=str(name),
        other=str(other),
        things=str(rng.choice(_THINGS)),
        irrelevant=irrelevant,
        is_large=bool(rng.random() < _SHARE_LARGE),
    )


def _draw_numbers(kind: Kind, is_large: bool, rng: np.random.Generator) -> _Numbers:
    def between(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    if kind in ("addition", "comparison"):
        a = between(1100, 9800) if is_large else between(12, 60)
        return _Numbers(a, between(a // 5, a - a // 5), 0, 0)
    a, b = (between(12, 48), between(110, 480)) if is_large else (between(3, 9), between(4, 12))
    return _Numbers(a, b, *((between(13, 60), between(12, 90)) if is_large else (between(2, 9), between(2, 9))))


def _draw_problem(scene: _Scene, rng: np.random.Generator) -> Problem:
    wording = scene.wording
    numbers = _draw_numbers(wording.kind, scene.is_large, rng)
    amounts = numbers._asdict() | {"ab": numbers.ab, "e": int(rng.integers(11, 59))}
    slots = {slot: f"{amount:,}" for slot, amount in amounts.items()}
    slots |= {"name": scene.name, "other": scene.other, "things": scene.things}
    sentences = [wording.facts, scene.irrelevant, wording.question]
    gold, slip = wording.solve(numbers), wording.mistake(numbers)
    return Problem(
        text=" ".join(sentence for sentence in sentences if sentence).format_map(slots),
        gold=gold,
        kind=wording.kind,
        has_large_numbers=scene.is_large,
        has_irrelevant_fact=bool(scene.irrelevant),
        working=wording.working.format_map(slots),
        slip=slip if slip != gold else gold + 1,
    )
