"""Whether the labels hold: the logged answers graded again, strictly and as the paper does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.errors import DataError
from prompt_oirl.grading import Grade, Grader, get_grader
from prompt_oirl.sources.logged_answers import LoggedAnswer

__all__ = ["LabelAudit", "PromptLabels", "audit_labels"]

_NUMERIC = ("numeric", "published")
_TEXT = ("exact:folded", "exact")
_N_EXAMPLES = 3
_N_TRIED = 50
"""Golds looked at to find whether answers are numbers."""


@dataclass(frozen=True, slots=True)
class PromptLabels:
    """One prompt's success rate by the labels and by each grader: of answers that have a label."""

    prompt_id: str
    n_answers: int
    labelled: float
    by_grader: tuple[float, float]
    """By the first and by the second grader; an answer that cannot be read counts as wrong here."""


@dataclass(frozen=True, slots=True)
class LabelExample:
    """An answer whose label the first grader does not share."""

    prompt_id: str
    query: str
    answer: str
    gold: str
    label: int


@dataclass(frozen=True)
class LabelAudit:
    """Labels beside what two graders make of the same answers."""

    labels_by: str | None
    """Name of the grader that the labels are from; None where the logs have them."""

    graders: tuple[str, str]
    """Names of the graders: for numbers the strict one and the paper's."""

    n_answers: int
    """Answers with a gold answer and a label."""

    n_disagreements: tuple[int, int]
    """Labels that each grader would change; an answer that it cannot read is no change."""

    n_wrong_to_right: int
    """Labels 0 that the first grader holds for right."""

    n_right_to_wrong: int
    """Labels 1 that the first grader holds for wrong."""

    n_unreadable: int
    """Answers that the first grader cannot read."""

    prompts: tuple[PromptLabels, ...]
    examples: tuple[LabelExample, ...]

    @property
    def best_prompts(self) -> tuple[str, str, str]:
        """Ids of the prompts with the highest success rate by label, by the first grader and by the second."""
        rates = (
            lambda prompt: prompt.labelled,
            lambda prompt: prompt.by_grader[0],
            lambda prompt: prompt.by_grader[1],
        )
        best = tuple(max(self.prompts, key=rate).prompt_id for rate in rates)
        return best[0], best[1], best[2]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"best_prompts": self.best_prompts}


def audit_labels(
    answers: Iterable[LoggedAnswer], prompt_ids: Sequence[str], *, labels_by: str | None = None
) -> LabelAudit:
    """Grade answers again and compare with their labels.

    Args:
        answers: Those without an answer or a gold answer are passed over, and those without a label.
        prompt_ids: In the order that is wanted.
        labels_by: Name of a grader whose grades are the labels, in place of those of the logs.

    Raises:
        DataError: No row has an answer, a gold answer and a label.
    """
    rows = [row for row in answers if row.answer and row.gold]
    if labels_by is not None:
        rows = _labelled(rows, get_grader(labels_by))
    rows = [row for row in rows if row.reward is not None]
    if not rows:
        raise DataError(
            "no row of these logs has an answer, a gold answer and a label, so labels could not be checked; log all "
            "three, or leave the label out and name a grader"
        )
    names = _NUMERIC if _are_numbers([row.gold or "" for row in rows[:_N_TRIED]]) else _TEXT
    tally = _Tally((get_grader(names[0]), get_grader(names[1])))
    for row in rows:
        tally.add(row)
    if not tally.n_answers:
        raise DataError("no gold answer of these logs can be read, so labels could not be checked")
    return tally.audit(names, prompt_ids, labels_by)


def _labelled(rows: Sequence[LoggedAnswer], grader: Grader) -> list[LoggedAnswer]:
    """Return rows with a grader's grades for labels; each answer is graded once."""
    pairs = {(row.answer or "", row.gold or "") for row in rows}
    rewards = {(answer, gold): grader.grade(answer, gold).reward for answer, gold in pairs}
    return [row._replace(reward=rewards[row.answer or "", row.gold or ""]) for row in rows]


def _are_numbers(golds: Sequence[str]) -> bool:
    strict, published = (get_grader(name) for name in _NUMERIC)
    return sum(_can_read(strict, gold) and _can_read(published, gold) for gold in golds) > len(golds) / 2


def _can_read(grader: Grader, gold: str) -> bool:
    try:
        grader.grade("0", gold)
    except DataError:
        return False
    return True


class _Tally:
    def __init__(self, graders: tuple[Grader, Grader]) -> None:
        self._graders = graders
        self._grades: dict[tuple[str, str], tuple[Grade, Grade] | None] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self.n_answers = self.n_wrong_to_right = self.n_right_to_wrong = self.n_unreadable = 0
        self.n_disagreements = [0, 0]
        self._examples: list[LabelExample] = []

    def add(self, row: LoggedAnswer) -> None:
        grades = self._graded(row.answer or "", row.gold or "")
        if grades is None:
            return
        self.n_answers += 1
        counted = {"n": 1, "label": row.reward or 0, "first": grades[0].reward or 0, "second": grades[1].reward or 0}
        for name, number in counted.items():
            self._counts[row.prompt_id, name] += number
        for which, grade in enumerate(grades):
            self.n_disagreements[which] += grade.reward is not None and grade.reward != row.reward
        self.n_unreadable += grades[0].reward is None
        self.n_wrong_to_right += grades[0].reward == 1 and row.reward == 0
        self.n_right_to_wrong += grades[0].reward == 0 and row.reward == 1
        if grades[0].reward not in (None, row.reward) and len(self._examples) < _N_EXAMPLES:
            texts = (row.prompt_id, row.query, row.answer or "", row.gold or "")
            self._examples.append(LabelExample(*texts, label=row.reward or 0))

    def _graded(self, answer: str, gold: str) -> tuple[Grade, Grade] | None:
        if (answer, gold) not in self._grades:
            try:
                first, second = (grader.grade(answer, gold) for grader in self._graders)
                self._grades[answer, gold] = (first, second)
            except DataError:
                self._grades[answer, gold] = None
        return self._grades[answer, gold]

    def audit(self, names: tuple[str, str], prompt_ids: Sequence[str], labels_by: str | None) -> LabelAudit:
        return LabelAudit(
            labels_by=labels_by,
            graders=names,
            n_answers=self.n_answers,
            n_disagreements=(self.n_disagreements[0], self.n_disagreements[1]),
            n_wrong_to_right=self.n_wrong_to_right,
            n_right_to_wrong=self.n_right_to_wrong,
            n_unreadable=self.n_unreadable,
            prompts=tuple(self._prompt(id) for id in prompt_ids if self._counts[id, "n"]),
            examples=tuple(self._examples),
        )

    def _prompt(self, prompt_id: str) -> PromptLabels:
        n, label, first, second = (self._counts[prompt_id, name] for name in ("n", "label", "first", "second"))
        return PromptLabels(prompt_id, n, label / n, (first / n, second / n))
