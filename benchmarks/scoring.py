"""How many queries a second are scored from raw text with 16 prompts, one process, one thread."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

from data import logs
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl import AdvantageModel, KernelAdvantage, LogisticModel, Query, RewardModel
from prompt_oirl.demonstrations import Demonstrations


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, model: RewardModel, training: Demonstrations, texts: list[str]) -> dict[str, object]:
    model.fit(training)
    prompts = training.prompts

    def batch() -> object:
        return model.score([Query(text) for text in texts], prompts)

    def one_by_one() -> object:
        return [model.score([Query(text)], prompts) for text in texts[:200]]

    batches = [cpu_seconds(batch) for _ in range(6)][1:]
    return {
        "model": name,
        "training_queries": training.n_queries,
        "prompts": len(prompts),
        "queries_per_second": round(len(texts) / statistics.median(batches)),
        "ms_for_one": round(1000 * cpu_seconds(one_by_one) / len(texts[:200]), 2),
        "at_least_queries_per_second": 5000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line of JSON a measurement (always so)")
    parser.parse_args()
    data, training = logs("mawps", n_prompts=16)
    _, others = logs("gsm8k")
    texts = [query.text for query in others.queries[:4000]]
    models: dict[str, RewardModel] = {
        "kernel_advantage": KernelAdvantage(),
        "logistic": LogisticModel(),
        "advantage (LightGBM)": AdvantageModel(),
    }
    with threadpool_limits(1):
        for name, model in models.items():
            print(json.dumps({"data": data, **measure(name, model, training, texts)}), flush=True)


if __name__ == "__main__":
    main()
