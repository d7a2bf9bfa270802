"""Whether the statistics hold what they say, on worlds whose truth is known: a thousand of each kind.

One line for each figure: what it is of, in how many worlds, what was found, between which numbers it lies for all that
so many worlds can tell (95 %), what is wanted, and whether what was found is that. Seeds are fixed. Results are named
"statistics"; this file is not, as Python has a module of that name.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl.testing.known_truth import (
    Measured,
    cross_validated_gain,
    gain_of_knowing,
    held_out_gain,
    measured_headroom,
    off_policy_gains,
    recommended,
)
from prompt_oirl.testing.typed_world import KINDS, TypedWorld

ALL_KINDS = tuple(KINDS)
NULL = "no interaction"
NULLS = (NULL, "half tied")
HARM = 0.005


@dataclass(frozen=True)
class Wanted:
    """What a figure is, and where it should lie; in percent of worlds, or in points."""

    what: str
    low: float = -math.inf
    high: float = math.inf
    is_share: bool = True

    def __str__(self) -> str:
        unit = "%" if self.is_share else "points"
        if self.low > -math.inf and self.high < math.inf:
            return f"{self.low:g} to {self.high:g} {unit}"
        if self.high < math.inf:
            return f"at most {self.high:g} {unit}"
        return f"at least {self.low:g} {unit}" if self.low > -math.inf else "shown"


COVERS = partial(Wanted, low=93, high=97)
BIAS = partial(Wanted, is_share=False)

FIGURES = {
    "held_out": COVERS("gain on held-out queries: interval covers"),
    "cross_validated": COVERS("cross-validated gain: interval covers"),
    "five_seeds": COVERS("cross-validated gain, mean of five seeds of the folds: interval covers"),
    "by_trials": COVERS("headroom's floor by other trials: interval covers what the rule gains"),
    "by_policy": COVERS("headroom's floor by a policy: interval covers what the policy gains"),
    "perfect": COVERS("headroom of the perfect choice, by a model: interval covers"),
    "perfect_bias": BIAS("headroom of the perfect choice, by a model: bias"),
    "bracket": Wanted("headroom lies between floor and ceiling", low=95),
    "false_found": Wanted("headroom found where there is none", high=5),
    "power": Wanted("headroom of 3 points found; 2000 queries, 6 prompts, 4 repeats", low=80),
    "power_of_knowing": Wanted("the same headroom found by one who knows the success probabilities of every class"),
    "false_pays": Wanted("choosing per query said to pay where it does not, candidates by type", high=5),
    "pays": Wanted("choosing per query said to pay, candidates by type"),
    "harm": Wanted("recommender over 0.5 points worse than the logs' best single prompt, candidates by type", high=5),
    "harm_to_best": Wanted("recommender over 0.5 points worse than the truly best single prompt, candidates by type"),
    "harm_of_single": Wanted("the logs' best single prompt over 0.5 points worse than the truly best one"),
    "default_false_pays": Wanted("choosing per query said to pay where it does not, default candidates", high=5),
    "default_harm": Wanted("recommender over 0.5 points worse than the logs' best single prompt, default ones", high=5),
}
"""By name, in the order in which they are printed."""

for name, words in (("snips", "self-normalised IPS"), ("dr", "doubly robust")):
    for of in ("value", "gain"):
        FIGURES[f"{name}_{of}_bias"] = BIAS(f"off-policy {of}, {words}: bias", low=-0.2, high=0.2)
        FIGURES[f"{name}_{of}_covers"] = COVERS(f"off-policy {of}, {words}: interval covers")
for name, words in (("ips", "IPS"), ("dm", "direct method")):
    for of in ("value", "gain"):
        FIGURES[f"{name}_{of}_bias"] = BIAS(f"off-policy {of}, {words}: bias")
        FIGURES[f"{name}_{of}_covers"] = Wanted(f"off-policy {of}, {words}: interval covers")

Outcome = tuple[str, float]
"""A figure's name, and what one world adds to it: 0 or 1 for a share, points for a bias."""


def of_gains(kind: str, seed: int) -> Iterator[Outcome]:
    world = TypedWorld.of_kind(kind, seed)
    yield "held_out", held_out_gain(world).covers
    yield "cross_validated", cross_validated_gain(world).covers


def of_five_seeds(kind: str, seed: int) -> Iterator[Outcome]:
    yield "five_seeds", cross_validated_gain(TypedWorld.of_kind(kind, seed), n_seeds=5).covers


def of_headroom(kind: str, seed: int) -> Iterator[Outcome]:
    world = TypedWorld.of_kind(kind, seed)
    measured = measured_headroom(world if kind == "repeats" else replace(world, repeats=(4, 4)))
    yield "bracket", measured.is_bracketed
    if kind in NULLS:
        yield "false_found", measured.found.verdict == "found"
    for name in ("by_trials", "by_policy"):
        floor = getattr(measured, name)
        if floor is not None:
            yield name, floor.covers
    if measured.found.perfect is not None:
        perfect = Measured(measured.found.perfect, measured.true_headroom)
        yield "perfect", perfect.covers
        yield "perfect_bias", 100 * perfect.error


def of_single_trials(kind: str, seed: int) -> Iterator[Outcome]:
    world = TypedWorld.of_kind(kind.removesuffix(SINGLE_TRIALS), seed)
    yield "false_found", measured_headroom(world).found.verdict == "found"


POWER: dict[str, dict[str, Any]] = {
    "all of it told by the text": {"visible": 1.0},
    "half of it told by the text": {"visible": 0.5},
    "a tenth of it told by the text": {"visible": 0.1},
    "a tenth of it told by the text, all in a fifth of the classes": {"visible": 0.1, "concentrated": 0.2},
}


def of_power(kind: str, seed: int) -> Iterator[Outcome]:
    world = replace(TypedWorld.of_kind("strong", seed), headroom=0.03, n_queries=2000, repeats=(4, 4), **POWER[kind])
    yield "power", measured_headroom(world).found.verdict == "found"
    yield "power_of_knowing", gain_of_knowing(world, level=0.9).low > 0


def of_selection(kind: str, seed: int) -> Iterator[Outcome]:
    found = recommended(TypedWorld.of_kind(kind, seed))
    yield "false_pays" if kind in NULLS else "pays", found.pays
    yield "harm", found.harm > HARM
    yield "harm_to_best", found.harm_to_best > HARM
    yield "harm_of_single", found.harm_of_single > HARM


def of_default_candidates(kind: str, seed: int) -> Iterator[Outcome]:
    which, nth = divmod(seed, len(ALL_KINDS))[::-1]
    world = TypedWorld.of_kind(ALL_KINDS[which], nth) if kind == MIXED else TypedWorld.of_kind(kind, seed)
    found = recommended(replace(world, n_queries=min(world.n_queries, 300)), None, n_fresh=300)
    if kind in NULLS:
        yield "default_false_pays", found.pays
    yield "default_harm", found.harm > HARM


def of_off_policy(_: str, seed: int) -> Iterator[Outcome]:
    world = replace(TypedWorld.of_kind("strong", seed), n_queries=4000, repeats=(2, 2))
    for estimator, measured in off_policy_gains(world).items():
        for of, each in zip(("value", "gain"), measured, strict=True):
            yield f"{estimator}_{of}_bias", 100 * each.error
            yield f"{estimator}_{of}_covers", each.covers


@dataclass(frozen=True)
class Study:
    """What is done in each world."""

    outcomes: Callable[[str, int], Iterator[Outcome]]
    kinds: tuple[str, ...]
    one_in: int = 1
    """Slow studies get one world in so many."""


MIXED = "all kinds in turn"
SINGLE_TRIALS = ", single trials"

STUDIES = {
    "gains": Study(of_gains, ALL_KINDS),
    "five_seeds": Study(of_five_seeds, ALL_KINDS, one_in=4),
    "headroom": Study(of_headroom, ALL_KINDS),
    "single_trials": Study(of_single_trials, tuple(f"{each}{SINGLE_TRIALS}" for each in NULLS)),
    "power": Study(of_power, tuple(POWER), one_in=4),
    "selection": Study(of_selection, ALL_KINDS),
    "default_candidates": Study(of_default_candidates, (MIXED,), one_in=2),
    "default_candidates_without_interaction": Study(of_default_candidates, NULLS, one_in=4),
    "off_policy": Study(of_off_policy, ("8000 decisions, ε-greedy with ε = 0.3",)),
}


def run(task: tuple[str, str, int]) -> list[Outcome]:
    study, kind, seed = task
    with threadpool_limits(1):
        return list(STUDIES[study].outcomes(kind, seed))


def row(name: str, kind: str, values: list[float]) -> dict[str, Any]:
    """Return one line: a mean over worlds, and the interval of what it would be over all worlds."""
    wanted, n = FIGURES[name], len(values)
    mean = float(np.mean(values))
    if wanted.is_share:  # Wilson's interval
        middle, half = (mean + 1.92 / n) / (1 + 3.84 / n), 1.96 * math.sqrt(mean * (1 - mean) / n + 0.96 / n**2)
        low, high = middle - half / (1 + 3.84 / n), middle + half / (1 + 3.84 / n)
        mean, low, high = 100 * mean, 100 * low, 100 * high
    else:
        half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(n)
        low, high = mean - half, mean + half
    is_shown = str(wanted) == "shown"
    return {
        "what": wanted.what,
        "kind": kind,
        "worlds": n,
        "found": round(mean, 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "wanted": str(wanted),
        "holds": None if is_shown else bool(wanted.low <= mean <= wanted.high),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000, help="of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES), help="these studies alone")
    parser.add_argument("--json", action="store_true", help="one line of JSON a figure (always so)")
    asked = parser.parse_args()
    for name in asked.only:
        start = time.perf_counter()
        measure(name, asked.worlds, asked.jobs)
        print(f"{name}: {time.perf_counter() - start:.0f} seconds", file=sys.stderr)


def measure(name: str, n_worlds: int, jobs: int) -> None:
    study = STUDIES[name]
    tasks = [(name, kind, seed) for kind in study.kinds for seed in range(max(n_worlds // study.one_in, 1))]
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ProcessPoolExecutor(jobs) as pool:
        for (_, kind, _), outcomes in zip(tasks, pool.map(run, tasks, chunksize=20), strict=True):
            for figure, value in outcomes:
                found[figure, kind].append(float(value))
    for figure, kind in product(FIGURES, study.kinds):
        if (figure, kind) in found:
            print(json.dumps(row(figure, kind, found[figure, kind]), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
