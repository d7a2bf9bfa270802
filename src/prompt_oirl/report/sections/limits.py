"""What a report cannot tell, whatever it says."""

from __future__ import annotations

from prompt_oirl.report.findings import Findings
from prompt_oirl.report.page_parts import Section
from prompt_oirl.report.texts import count, sentence, visible

__all__ = ["limits_section"]


def limits_section(findings: Findings) -> Section:
    """Return the closing section."""
    sentences = [
        "The intervals cover which queries happened to be asked, and the noise of their answers. They do not cover "
        "another LLM or another version of it, queries of another kind than these, or a grader that is wrong in favour "
        "of some prompts.",
        "Intervals are not adjusted for how many are read here: of many at 95 %, some exclude 0 by chance. The verdict "
        "rests on those of gain and headroom alone.",
        "The only figure that no property of logs can bias is a comparison on live traffic: send a random share of it "
        "to the best single prompt and compare.",
    ]
    if findings.recommender is None:
        sentences.insert(
            1,
            "No recommender was judged here but the way of making one. Train it, keep the newest logs out, and make "
            "this report of them with --recommender.",
        )
    return Section("limits", "What this cannot tell", (*_of_these_logs(findings), *sentences))


def _of_these_logs(findings: Findings) -> list[str]:
    """Return what these logs cannot tell, while others could."""
    found = [f"{visible(sentence(warning))}." for warning in findings.warnings]
    if findings.inspection.n_prompts > 1 and findings.evidence.has_few_compared:
        problem = findings.evidence.problem
        found.append(f"{problem[0].upper()}{problem[1:]}.")
    n_repeated = findings.evidence.n_repeated_queries
    if findings.evidence.is_mostly_unrepeated:
        asked = f"Only {count(n_repeated)} of {count(findings.evidence.n_queries)} queries were"
        found.append(
            f"{asked if n_repeated else 'No query was'} asked twice with a prompt, so luck and headroom "
            f"{'can hardly' if n_repeated else 'cannot'} be told apart: a second answer to each query and prompt would "
            "do it."
        )
    return found
