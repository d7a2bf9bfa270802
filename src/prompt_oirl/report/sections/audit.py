"""Whether the data can be trusted: leakage, near-duplicates, labels, and what is left out."""

from __future__ import annotations

from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.label_audit import LabelAudit
from prompt_oirl.report.page_parts import Column, Figure, Section, Table
from prompt_oirl.report.sections.columns import missing
from prompt_oirl.report.texts import count, percent, prompt_name, shown

__all__ = ["audit_section", "left_out_section"]

_GROUPED = {"template": "the same up to numbers, case and punctuation", "question": "identical texts"}
_LONGEST_EXAMPLE = 200


def audit_section(findings: Findings) -> Section:
    """Return the section on leakage and labels."""
    found = findings.label_audit
    labels: tuple[str | Table, ...] = (missing(found),) if isinstance(found, Missing) else _labels(found)
    return Section("audit", "Leakage and labels", (*_leakage(findings), *labels))


def _leakage(findings: Findings) -> tuple[str | Table | Figure, ...]:
    found = findings.leakage
    sentences: list[str | Table | Figure] = [
        "No query was judged by what had seen it, or seen one of its group; the report is refused otherwise. A group "
        f"is made of queries that are {_GROUPED[found.by]}. Paraphrases are not recognised."
    ]
    if found.by == "question":
        sentences.append("Near-duplicates were not kept together, so the gain is that of traffic that repeats itself.")
    if found.has_dominant_group:
        sentences.append(
            f"Beware: one group is {percent(found.largest_group_share, 0)} of all that was asked, so that nearly all "
            "rests on one kind of query."
        )
    sentences.append(
        Table(
            "leakage",
            "Queries that are judged on, and their groups.",
            (Column("what", ""), Column("n", "number", "count")),
            (
                ("queries", found.n_queries),
                ("groups of near-duplicates", found.n_groups),
                ("groups of several queries", found.n_groups_of_several),
                ("queries in these", found.n_queries_in_them),
                ("queries left out because they were seen in training", found.n_dropped_as_seen),
            ),
        )
    )
    return tuple(sentences)


def _labels(found: LabelAudit) -> tuple[str | Table, ...]:
    first, second = found.graders
    n = found.n_answers
    labelled = "have a label and a gold answer and were graded again"
    if found.labels_by is not None:
        labelled = f"with a gold answer have their label from the grader “{shown(found.labels_by)}”; others were tried"
    sentences: list[str | Table] = [
        f"{count(n)} answers {labelled}. The grader “{first}” would change "
        f"{count(found.n_disagreements[0])} labels ({percent(found.n_disagreements[0] / n)}): "
        f"{count(found.n_wrong_to_right)} from wrong to right, {count(found.n_right_to_wrong)} from right to wrong; it "
        f"cannot read {count(found.n_unreadable)}. The grader “{second}” would change "
        f"{count(found.n_disagreements[1])} ({percent(found.n_disagreements[1] / n)})."
    ]
    best = found.best_prompts
    if len(set(best)) > 1:
        sentences.append(
            f"The prompt with the highest success rate depends on the grader, which may be chance: "
            f"{prompt_name(best[0])} by the labels, {prompt_name(best[1])} "
            f"by “{first}”, {prompt_name(best[2])} by “{second}”."
        )
    sentences.append(
        Table(
            "labels",
            f"Success rate of each prompt by label and by grader. n = {count(n)} answers; what a grader cannot read "
            "counts as wrong here.",
            (
                Column("prompt_id", "prompt"),
                Column("n_answers", "answers", "count"),
                Column("by_label", "by label", "share"),
                Column(f"by_{first}", f"by {first}", "share"),
                Column(f"by_{second}", f"by {second}", "share"),
            ),
            tuple((each.prompt_id, each.n_answers, each.labelled, *each.by_grader) for each in found.prompts),
        )
    )
    if found.examples:
        sentences.append(
            Table(
                "label_examples",
                f"Some labels that “{first}” would change.",
                (
                    Column("prompt_id", "prompt"),
                    Column("query", "query"),
                    Column("answer", "answer (its end)"),
                    Column("gold", "gold (its end)"),
                    Column("label", "label", "count"),
                ),
                tuple(
                    (each.prompt_id, shown(each.query, 90), _end(each.answer), _end(each.gold), each.label)
                    for each in found.examples
                ),
            )
        )
    return tuple(sentences)


def _end(text: str) -> str:
    line = " ".join(text[-_LONGEST_EXAMPLE:].split())
    return line if len(line) <= 90 else f"…{line[-89:]}"


def left_out_section(findings: Findings) -> Section:
    """Return the section on what is in none of the figures."""
    found, inspection = findings.left_out, findings.inspection
    sentence = (
        "Trials without a reward (errors, answers that could not be read) count neither as wrong nor as right. That is "
        "sound if what is missing does not depend on how the answer would have been graded."
    )
    table = Table(
        "left_out",
        f"Of {count(inspection.n_queries)} queries × {count(inspection.n_prompts)} prompts = "
        f"{count(inspection.n_cells)} cells, with {count(inspection.n_trials)} trials that have a reward.",
        (Column("what", ""), Column("n", "number", "count")),
        (
            ("trials without a reward", found.n_unscored),
            ("cells without any trial", found.n_untried_cells),
            ("queries without any reward", found.n_queries_without_reward),
            ("queries whose chosen prompts were not both tried: not in the gain", found.n_queries_without_both),
            ("queries that the recommender had seen", found.n_dropped_as_seen),
        ),
    )
    content: list[str | Table | Figure] = [sentence, table]
    if found.prompts_without_trials:
        names = ", ".join(map(prompt_name, found.prompts_without_trials[:10]))
        content.append(f"Prompts without a single reward, of which nothing can be said: {names}.")
    return Section("left-out", "What was left out", tuple(content))
