"""Tables `paper_protocol` and `reward_model`: our reward models on LLaMA-2 under the paper's own split.

On MAWPS and SVAMP every test question is also a training question, so these numbers say how well a method remembers;
what it is worth on new questions is in `leak_free`. All 63 subsets of the training prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import Classification, classify, gain, oracle_choices, policy_value
from prompt_oirl.policies import BestOfN, FallbackBestOfN, Policy, best_single_prompt_chosen_on_test
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.methods import transferable_joint
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.reproduction.shared import ADVANTAGE, LOGISTIC, SharedFit
from prompt_oirl.reward.baselines import Lookup
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.release import Release
from prompt_oirl.sources.release_prompts import HELD_OUT_PROMPTS, TRAINING_PROMPTS
from prompt_oirl.sources.selection_arrays import LLM, LLMS

__all__ = ["critique_cells", "joint_cells", "selection_cells"]

LLAMA: LLM = "llama-2-7b-chat"
METRICS = ("accuracy", "precision", "recall", "f1", "auc", "brier")


def _subsets(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    return [subset for size in sizes for subset in combinations(TRAINING_PROMPTS, size)]


def selection_cells(settings: Settings) -> list[Cell]:
    """Return the cells of the methods that share fits over subsets: one for each data set."""
    sizes = [6] if settings.fast else [1, 2, 3, 4, 5, 6]
    return [Cell("paper_protocol", compute_selection, {"dataset": dataset, "sizes": sizes}) for dataset in DATASETS]


def joint_cells(settings: Settings) -> list[Cell]:
    """Return the cells of the joint model, which is fitted anew for each subset: one for each data set and size."""
    sizes = [6] if settings.fast else [6, 5, 4, 3, 2, 1]
    return [
        Cell("paper_protocol", compute_joint, {"dataset": dataset, "sizes": [size]})
        for dataset in DATASETS
        for size in sizes
    ]


def critique_cells(_: Settings) -> list[Cell]:
    """Return the cells of the LLMs' critique of their own answers as a classifier: one for each LLM and data set."""
    return [
        Cell("reward_model", compute_critique, {"llm": llm, "dataset": dataset}) for llm in LLMS for dataset in DATASETS
    ]


def compute_selection(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the rows of BoTr, the best single prompt, look-up, the recommender's candidates, and the recommender."""
    trials = Release(data).trials(LLAMA, parameters["dataset"])
    training = trials.demonstrations("train", prompts=TRAINING_PROMPTS)
    test = trials.demonstrations("test", prompts=TRAINING_PROMPTS)
    fit = SharedFit.of(training, test, by="template")
    rows = []
    for subset in _subsets(parameters["sizes"]):
        of_subset, single = test.select_prompts(subset), np.full(test.n_queries, fit.best_single(subset))
        lookup = Lookup().fit(training.select_prompts(subset))
        test_best = best_single_prompt_chosen_on_test(of_subset)
        choices = {
            "botr": test_best.choose(test.queries, of_subset.prompts),
            "best_single": single,
            "lookup": BestOfN(lookup).choose(test.queries, of_subset.prompts),
            "advantage": fit.best_of(ADVANTAGE, subset),
            "logistic": fit.best_of(LOGISTIC, subset),
            "recommender": fit.recommend(subset),
            "oracle": oracle_choices(of_subset),
        }
        place = _place(parameters["dataset"], subset)
        rows += [_row(of_subset, chosen, single, {**place, "method": name}) for name, chosen in choices.items()]
    return rows


def compute_joint(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the rows of a joint model that also scores held-out prompts: by three rules, and as classifier."""
    trials = Release(data).trials(LLAMA, parameters["dataset"])
    rows = []
    for subset in _subsets(parameters["sizes"]):
        training = trials.demonstrations("train", prompts=subset)
        test = trials.demonstrations("test", prompts=[*subset, *HELD_OUT_PROMPTS])
        held_out = test.prompts[len(subset) :]
        model = transferable_joint().fit(training)
        single = np.full(test.n_queries, int(np.nanargmax(training.success_rates)))
        rules: dict[str, tuple[Policy, Sequence[Prompt]]] = {
            "joint": (BestOfN(model), test.prompts[: len(subset)]),
            "all_mixed": (BestOfN(model), test.prompts),
            "irl10": (FallbackBestOfN(model, held_out), test.prompts),
        }
        place = _place(parameters["dataset"], subset)
        for name, (policy, prompts) in rules.items():
            chosen = policy.choose(test.queries, prompts)
            rows.append(_row(test, chosen, single, {**place, "method": name}))
        probabilities = model.score(test.queries, test.prompts)
        rows += _classifier_rows(
            test, probabilities, len(subset), {**place, "table": "reward_model", "method": "joint"}
        )
    return rows


def compute_critique(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute the LLM's verdict on its own answers as a classifier, and the majority class."""
    release = Release(data)
    trials = release.trials(parameters["llm"], parameters["dataset"])
    verdicts = release.critics(parameters["llm"], parameters["dataset"]).verdicts
    labels = trials.labels[-len(verdicts) :]
    n_queries = len({question.query for question in trials.questions[-len(verdicts) :]})
    rows = []
    for part, columns in (("training", TRAINING_PROMPTS), ("held_out", HELD_OUT_PROMPTS)):
        if columns[-1] >= labels.shape[1]:
            continue
        # One query a row: the verdict is on the answer of that row, and a question that is asked twice has two.
        answered = labels[:, list(columns)]
        demonstrations = _as_rows(trials.demonstrations(prompts=columns), answered)
        place = {
            "table": "reward_model", "llm": parameters["llm"], "dataset": parameters["dataset"], "protocol": "paper",
            "k": 6, "prompts": "0,1,2,3,4,5",
        }  # fmt: skip
        found = classify(demonstrations, verdicts[:, list(columns)].astype(np.float64))
        rows += _metric_rows(found, part, n_queries, {**place, "method": "lmsc"}, METRICS[:4])
        if parameters["llm"] != LLAMA:  # there the joint model's cells say it
            rows.append(_majority_row(found, part, n_queries, place))
    return rows


def _as_rows(demonstrations: Demonstrations, labels: IntArray) -> Demonstrations:
    """Return demonstrations with one made-up query for each row, so that rows of one question stay apart."""
    return Demonstrations(
        queries=tuple(Query(f"row {row}") for row in range(len(labels))),
        prompts=demonstrations.prompts,
        trials=(labels >= 0).astype(np.int64),
        successes=(labels == 1).astype(np.int64),
        unscored=(labels < 0).astype(np.int64),
    )


def _place(dataset: str, subset: Sequence[int]) -> dict[str, Any]:
    return {
        "table": "paper_protocol", "llm": LLAMA, "dataset": dataset, "protocol": "paper", "k": len(subset),
        "prompts": ",".join(map(str, subset)),
    }  # fmt: skip


def _row(test: Demonstrations, choices: IntArray, single: IntArray, place: Mapping[str, Any]) -> ResultRow:
    groups = test.groups()
    value, difference = policy_value(test, choices, groups=groups), gain(test, choices, single, groups=groups)
    return ResultRow(
        **place, value=value.value, gain=difference.value, low=difference.low, high=difference.high,
        n_queries=difference.n_queries, n_groups=difference.n_groups, n_trials=int(test.repeats.sum()),
        n_left_out=difference.n_left_out,
    )  # fmt: skip


def _classifier_rows(
    test: Demonstrations, probabilities: FloatArray, n_training: int, place: Mapping[str, Any]
) -> list[ResultRow]:
    rows = []
    for part, columns in (("training", range(n_training)), ("held_out", range(n_training, test.n_prompts))):
        found = classify(test.select_prompts(columns), probabilities[:, list(columns)])
        rows += _metric_rows(found, part, test.n_queries, place, METRICS)
        rows.append(_majority_row(found, part, test.n_queries, place))
    return rows


def _metric_rows(
    found: Classification, part: str, n_queries: int, place: Mapping[str, Any], metrics: Sequence[str]
) -> list[ResultRow]:
    return [
        ResultRow(
            **place, metric=f"{metric}_{part}", value=getattr(found, metric), n_queries=n_queries,
            n_trials=found.n_trials, note="undefined: nothing to divide by" if metric in found.undefined else None,
        )
        for metric in metrics
    ]  # fmt: skip


def _majority_row(found: Classification, part: str, n_queries: int, place: Mapping[str, Any]) -> ResultRow:
    return ResultRow(
        **{**place, "method": "majority_class"}, metric=f"accuracy_{part}", value=found.majority_accuracy,
        n_queries=n_queries, n_trials=found.n_trials,
    )  # fmt: skip
