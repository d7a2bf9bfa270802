"""What a run holds, finished or not, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from prompt_oirl.grading import Grade
from prompt_oirl.runs.outcomes import FAILURE_KINDS, Completion, FailureKind
from prompt_oirl.runs.spending import Spending

if TYPE_CHECKING:
    from prompt_oirl.runs.store import RunStore

__all__ = ["PromptSummary", "RunSummary", "summary_of"]


@dataclass(frozen=True, slots=True)
class PromptSummary:
    """What one prompt's calls came to."""

    prompt_id: str
    n_answers: int
    n_failures: int
    n_correct: int
    n_wrong: int
    n_unparsed: int

    @property
    def success_rate(self) -> float | None:
        """Correct of correct and wrong; None where there is neither."""
        n_scored = self.n_correct + self.n_wrong
        return self.n_correct / n_scored if n_scored else None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the success rate as JSON can hold them."""
        return asdict(self) | {"success_rate": self.success_rate}


@dataclass(frozen=True)
class RunSummary:
    """A run in figures."""

    model: str
    base_url: str
    n_queries: int
    """Queries that are registered, asked or not."""

    n_queries_asked: int
    n_answers: int
    failures: Mapping[FailureKind, int]
    """Calls without an answer, of the kinds that there are."""

    n_planned: int
    """Cells that a drawn strategy has chosen and that are still to be bought. The full grid has none."""

    n_cut: int
    """Answers that were cut at the limit of tokens."""

    mean_latency: float | None
    """Seconds that an answer took, without the attempts that failed before it."""

    models: Mapping[str, int]
    """Answers by the model's name as the server gave it; more than one name is a change under way."""

    grader: str | None
    """Name of the grades that the counts are by; None where nothing is graded."""

    n_ungraded: int
    """Answers without a grade."""

    prompts: tuple[PromptSummary, ...]
    """In the order of the run."""

    spending: Spending
    """On answers."""

    spending_on_critiques: Spending

    @property
    def n_failures(self) -> int:
        """Calls without an answer."""
        return sum(self.failures.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {
            "n_failures": self.n_failures,
            "prompts": [prompt.to_dict() for prompt in self.prompts],
            "spending": self.spending.to_dict(),
            "spending_on_critiques": self.spending_on_critiques.to_dict(),
        }


def summary_of(store: RunStore) -> RunSummary:
    """Count what a run holds, reading its outcomes once, one at a time."""
    grades = store.grades() if store.grader is not None else {}
    answers, failed, failures, models = Counter[str](), Counter[str](), Counter[FailureKind](), Counter[str]()
    graded: Counter[tuple[str, Grade]] = Counter()
    asked: set[str] = set()
    seconds, n_cut = 0.0, 0
    for stored in store.outcomes():
        cell, outcome = stored.cell, stored.outcome
        asked.add(cell.query_id)
        if not isinstance(outcome, Completion):
            failed[cell.prompt_id] += 1
            failures[outcome.kind] += 1
            continue
        answers[cell.prompt_id] += 1
        models[outcome.model] += 1
        seconds += outcome.latency
        n_cut += outcome.finish_reason == "length"
        if cell.key in grades:
            graded[cell.prompt_id, grades[cell.key]] += 1
    return RunSummary(
        model=store.configuration.model,
        base_url=store.configuration.base_url,
        n_queries=len(store.queries()),
        n_queries_asked=len(asked),
        n_answers=answers.total(),
        failures={kind: failures[kind] for kind in FAILURE_KINDS if failures[kind]},
        n_planned=sum(1 for _ in store.planned()),
        n_cut=n_cut,
        mean_latency=seconds / answers.total() if answers else None,
        models=dict(models.most_common()),
        grader=store.grader,
        n_ungraded=answers.total() - graded.total(),
        prompts=tuple(
            PromptSummary(
                each.id,
                answers[each.id],
                failed[each.id],
                *(graded[each.id, grade] for grade in (Grade.CORRECT, Grade.WRONG, Grade.UNPARSED)),
            )
            for each in store.prompts()
        ),
        spending=store.spending("answer"),
        spending_on_critiques=store.spending("critique"),
    )
