"""Table `unseen_prompts`: what the joint model knows of prompts it never saw, and what follows for "IRL 10".

*Knowledge*: each of the six training prompts is left out in turn, with the queries seen and with their groups left out
too. *IRL 10*: six training prompts and ten held-out ones, which were logged on the paper's test questions only. Halves
of the query groups: trained on the six prompts in one, judged on the test questions of the other. Whether held-out
prompts may win is decided by leave-both-out on the training half, beside the paper's threshold of 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.evaluation import (
    AdmittedBestOfN,
    LeftOutPrompts,
    OverQueriesAndPrompts,
    UnseenPrompts,
    gain,
    policy_value,
    unseen_prompts,
    validate_unseen,
)
from prompt_oirl.policies import BestOfN, BestSinglePrompt, FallbackBestOfN, Policy
from prompt_oirl.records import Prompt
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.methods import transferable_joint
from prompt_oirl.reproduction.portfolio import HEAD_START, measured
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.release import Release
from prompt_oirl.sources.release_prompts import HELD_OUT_PROMPTS, TRAINING_PROMPTS
from prompt_oirl.sources.selection_arrays import LLM
from prompt_oirl.splits import grouped_folds, query_groups

__all__ = ["irl10_cells", "knowledge_cells"]

LLAMA: LLM = "llama-2-7b-chat"
N_FOLDS = 2


def knowledge_cells(settings: Settings) -> list[Cell]:
    """Return one cell for each data set that LLaMA-2 was logged on; of a fast run, MAWPS."""
    return _cells("knowledge", settings)


def irl10_cells(settings: Settings) -> list[Cell]:
    """Return one cell for each data set; of a fast run, MAWPS."""
    return _cells("irl10", settings)


def _cells(part: str, settings: Settings) -> list[Cell]:
    compute = {"knowledge": compute_knowledge, "irl10": compute_irl10}[part]
    datasets = ("mawps",) if settings.fast else DATASETS
    return [Cell("unseen_prompts", compute, {"dataset": dataset, "seed": settings.seed}) for dataset in datasets]


def _model() -> RewardModel:
    """Return the joint model of the paper's protocol, with a third of the rounds at three times the rate."""
    model: RewardModel = transferable_joint().set_params(n_rounds=100, learning_rate=0.09)  # type: ignore[attr-defined]
    return model


def compute_knowledge(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute what is known of training prompts that are left out in turn."""
    demonstrations = Release(data).trials(LLAMA, parameters["dataset"]).demonstrations(prompts=TRAINING_PROMPTS)
    found = unseen_prompts(_model(), demonstrations, head_start=HEAD_START, n_folds=N_FOLDS, seed=parameters["seed"])
    place = {
        "table": "unseen_prompts", "llm": LLAMA, "dataset": parameters["dataset"], "protocol": "by_template",
        "k": demonstrations.n_prompts - 1,
    }  # fmt: skip
    rows = _knowledge_rows(found.prompts_left_out, {**place, "method": "prompts_left_out"})
    rows += _knowledge_rows(found.both_left_out, {**place, "method": "both_left_out"})
    rows.append(_verdict_row(found.verdict, {**place, "method": "both_left_out"}, demonstrations.n_queries))
    return rows


def _knowledge_rows(found: LeftOutPrompts, place: Mapping[str, Any]) -> list[ResultRow]:
    rows = []
    for metric in (
        "pairwise_accuracy",
        "accuracy_from_knowledge",
        "correlation",
        "correlation_within_prompts",
        "gain",
    ):
        both: OverQueriesAndPrompts | None = getattr(found, metric)
        if both is not None:
            rows.append(measured(place, metric, both.over_queries))
            n = both.over_queries
            rows.append(
                ResultRow(
                    **place, metric=f"{metric}_over_prompts", value=both.value, low=both.low_over_prompts,
                    high=both.high_over_prompts, n_queries=n.n_queries, n_groups=n.n_groups,
                    note=f"{both.n_prompts} prompts",
                )
            )  # fmt: skip
    for column, prompt in enumerate(found.prompts):
        for metric in ("pairwise_accuracy", "correlation", "share_chosen", "gain"):
            value: float | None = getattr(prompt, metric)
            n_queries = found.gain.over_queries.n_queries
            rows.append(ResultRow(**place, metric=metric, prompts=str(column), value=value, n_queries=n_queries))
    return rows


def _verdict_row(evidence: UnseenPrompts, place: Mapping[str, Any], n_queries: int) -> ResultRow:
    return ResultRow(
        **place, metric="may_win", value=float(evidence.may_win), n_queries=n_queries, note=evidence.reason
    )


def compute_irl10(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Compute what the ways of dealing with ten held-out prompts gain on queries of groups that were not trained on."""
    trials = Release(data).trials(LLAMA, parameters["dataset"])
    training = trials.demonstrations(prompts=TRAINING_PROMPTS)
    test = trials.demonstrations("test", prompts=[*TRAINING_PROMPTS, *HELD_OUT_PROMPTS])
    groups = query_groups([*training.queries, *test.queries])
    of_training, of_test = groups[: training.n_queries], groups[training.n_queries :]
    chosen: dict[str, IntArray] = {}
    verdicts = []
    halves = grouped_folds(of_training, N_FOLDS, seed=parameters["seed"], weights=training.repeats.astype(np.float64))
    for train, held_out in halves:
        rows = np.flatnonzero(np.isin(of_test, of_training[held_out]))
        policies, evidence = _policies(training.select_queries(train), test.prompts, parameters["seed"])
        verdicts.append(evidence)
        for name, (policy, prompts) in policies.items():
            choices = chosen.setdefault(name, np.zeros(test.n_queries, dtype=np.int64))
            choices[rows] = policy.choose([test.queries[row] for row in rows], prompts)
    place = {
        "table": "unseen_prompts", "llm": LLAMA, "dataset": parameters["dataset"], "protocol": "by_template", "k": 6,
        "seeds": str(parameters["seed"]),
    }  # fmt: skip
    return [
        *_irl10_rows(test, chosen, of_test, place),
        *(
            _verdict_row(each, {**place, "method": f"admitted_half_{half}"}, training.n_queries)
            for half, each in enumerate(verdicts)
        ),
    ]


def _policies(
    training: Demonstrations, prompts: Sequence[Prompt], seed: int
) -> tuple[dict[str, tuple[Policy, Sequence[Prompt]]], UnseenPrompts]:
    """Return the ways to choose, each with the prompts it is asked about, and the evidence on held-out prompts."""
    model, n_training = _model().fit(training), training.n_prompts
    single = BestSinglePrompt.chosen_on(training)
    evidence = validate_unseen(
        _model(), training, head_start=HEAD_START, n_folds=N_FOLDS, confidence=0.95, by="template", seed=seed
    )
    held_out = prompts[n_training:]
    start: dict[str, Any] = {"head_start": HEAD_START, "best_single": single.prompt_id}
    return {
        "best_single": (single, prompts),
        "irl0": (BestOfN(model), prompts[:n_training]),
        "all_mixed": (BestOfN(model), prompts),
        "irl10": (FallbackBestOfN(model, held_out), prompts),
        "admitted": (AdmittedBestOfN(model, held_out, evidence, **start), prompts),
        "admitted_always": (BestOfN(model, **start), prompts),
    }, evidence


def _irl10_rows(
    test: Demonstrations, chosen: Mapping[str, IntArray], groups: IntArray, place: Mapping[str, Any]
) -> list[ResultRow]:
    rows = []
    comparisons = [(name, name, "best_single") for name in chosen]
    comparisons.append(("admitted_less_irl10", "admitted", "irl10"))
    for name, choices, baseline in comparisons:
        value = policy_value(test, chosen[choices], groups=groups)
        difference = gain(test, chosen[choices], chosen[baseline], groups=groups)
        rows.append(
            ResultRow(
                **place, method=name, value=value.value, gain=difference.value, low=difference.low,
                high=difference.high, n_queries=difference.n_queries, n_groups=difference.n_groups,
                n_trials=difference.n_trials, n_left_out=difference.n_left_out,
            )
        )  # fmt: skip
        if name not in ("admitted_less_irl10", "best_single"):
            share = float(np.average(chosen[choices] >= len(TRAINING_PROMPTS), weights=test.repeats))
            rows.append(ResultRow(**place, method=name, metric="share_held_out", value=share, n_queries=test.n_queries))
    return rows
