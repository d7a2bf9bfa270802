"""One reward model on GSM8K, K = 6, against the published recipe: CPU seconds to fit, and the value of the policy.

The recipe is XGBoost of depth 10, 2000 rounds at rate .001, as released. Fitted on four fifths of the query groups,
judged on the last; `--rounds` makes it shorter for a quick look, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
from data import logs
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl import BestOfN, BestSinglePrompt, KernelAdvantage, LexicalFeatures, PublishedRecipe, Recommender
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import gain, policy_value
from prompt_oirl.policies import Policy


@dataclass(frozen=True)
class Fitted:
    name: str
    policy: Policy
    cpu_seconds: float


def recipe(rounds: int) -> PublishedRecipe:
    return PublishedRecipe(LexicalFeatures(), LexicalFeatures(8, 0, min_df=1), n_rounds=rounds)


def fit(name: str, training: Demonstrations, rounds: int) -> Fitted:
    start = time.process_time()
    policy: Policy
    if name == "recommender":
        policy = Recommender().fit(training)
    else:
        model = KernelAdvantage() if name == "kernel_advantage" else recipe(rounds)
        policy = BestOfN(model.fit(training), best_single=BestSinglePrompt.chosen_on(training).prompt_id)
    return Fitted(name, policy, time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="of the published recipe")
    parser.add_argument("--json", action="store_true", help="one line of JSON a measurement (always so)")
    rounds = parser.parse_args().rounds
    data, demonstrations = logs("gsm8k")
    training, test = demonstrations.split(test_size=0.2, seed=0)
    single = BestSinglePrompt.chosen_on(training).choose(test.queries, test.prompts)
    with threadpool_limits(1):
        fits = [fit(name, training, rounds) for name in ("kernel_advantage", "recommender", "published_recipe")]
    slowest = fits[-1].cpu_seconds
    for fitted in fits:
        choices = fitted.policy.choose(test.queries, test.prompts)
        found = gain(test, choices, single, groups=test.groups())
        row = {
            "data": data,
            "model": fitted.name,
            "rounds_of_published_recipe": rounds,
            "training_queries": training.n_queries,
            "cpu_seconds": round(fitted.cpu_seconds, 2),
            "times_as_fast_as_published_recipe": round(slowest / fitted.cpu_seconds, 1),
            "policy_value": round(policy_value(test, choices, groups=test.groups()).value, 4),
            "gain": round(found.value, 4),
            "low": round(float(np.float64(found.low)), 4),
            "high": round(float(np.float64(found.high)), 4),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
