"""Tables `leakage` and `label_audit`: what is wrong with the data before any model is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.evaluation import outcome_correlation
from prompt_oirl.grading import Grade, get_grader
from prompt_oirl.reproduction.cells import Cell, Settings
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.sources.questions import DATASETS
from prompt_oirl.sources.release import Release
from prompt_oirl.splits import group_hashes, is_seen, query_groups

__all__ = ["correlation_cells", "label_audit_cells", "leakage_cells"]


def leakage_cells(_: Settings) -> list[Cell]:
    """Return one cell for each data set."""
    return [Cell("leakage", compute_leakage, {"dataset": dataset}) for dataset in DATASETS]


def compute_leakage(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Count the paper's test questions that are training questions, as they are and up to numbers and punctuation."""
    questions = Release(data).questions(parameters["dataset"])
    train = [question.query for question in questions.select("train")]
    test = [question.query for question in questions.select("test")]
    rows = []
    for by in ("question", "template"):
        seen = is_seen(test, group_hashes(train, by), by=by)
        rows.append(
            ResultRow(
                table="leakage", llm="none", dataset=parameters["dataset"], protocol="paper", method=f"by_{by}",
                metric="share_of_test_rows_seen_in_training", value=float(seen.mean()), n_queries=len(set(test)),
                n_trials=len(test), n_groups=len(np.unique(query_groups(test, by))),
            )
        )  # fmt: skip
    return rows


def label_audit_cells(_: Settings) -> list[Cell]:
    """Return the one cell whose recorded answers are at hand: LLaMA-2 on the GSM8K test questions."""
    return [Cell("label_audit", compute_label_audit, {"dataset": "gsm8k"})]


def compute_label_audit(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Grade the recorded answers with the published grader and with a correct one, and count the labels that change."""
    release = Release(data)
    dataset = parameters["dataset"]
    trials = release.trials("llama-2-7b-chat", dataset)
    questions = release.questions(dataset).select("test")
    published, numeric = get_grader("published"), get_grader("numeric")
    counts = dict.fromkeys(("equals_published", "wrong_to_right", "right_to_wrong", "to_unparsed"), 0)
    for prompt in release.prompts:
        labels = trials.labels[trials.n_train_rows :, prompt.index]
        answers = release.answers(dataset, prompt.alias)
        for question, answer, label in zip(questions, answers, labels, strict=True):
            gold = question.gold or ""  # the graders refuse a blank one; the release has none
            counts["equals_published"] += published.grade(answer, gold).reward == label
            grade = numeric.grade(answer, gold)
            counts["to_unparsed"] += grade is Grade.UNPARSED
            counts["wrong_to_right"] += grade is Grade.CORRECT and label == 0
            counts["right_to_wrong"] += grade is Grade.WRONG and label == 1
    n_answers = len(questions) * len(release.prompts)
    return [
        ResultRow(
            table="label_audit", llm="llama-2-7b-chat", dataset=dataset, protocol="none", method=name,
            metric="count_of_labels", value=float(count), n_queries=len(questions), n_trials=n_answers,
        )
        for name, count in counts.items()
    ]  # fmt: skip


def correlation_cells(_: Settings) -> list[Cell]:
    """Return one cell for each data set that LLaMA-2 was logged on."""
    return [Cell("correlation", compute_correlation, {"dataset": dataset}) for dataset in DATASETS]


def compute_correlation(data: Path, parameters: Mapping[str, Any]) -> list[ResultRow]:
    """Correlate the outcomes of the six training prompts over questions: the figure of the release."""
    trials = Release(data).trials("llama-2-7b-chat", parameters["dataset"])
    demonstrations = trials.demonstrations(prompts=range(6))
    correlation = outcome_correlation(demonstrations)
    return [
        ResultRow(
            table="correlation", llm="llama-2-7b-chat", dataset=parameters["dataset"], protocol="none",
            method="outcomes", metric="pearson", prompts=f"{i},{j}", value=float(value),
            n_queries=int(correlation.n_queries[i, j]), n_trials=int(demonstrations.trials[:, sorted({i, j})].sum()),
        )
        for (i, j), value in np.ndenumerate(correlation.correlation)
    ]  # fmt: skip
