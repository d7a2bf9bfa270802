"""Grade a run's stored answers, without a call and as often as one likes, and say what that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from prompt_oirl.errors import DataError
from prompt_oirl.grading import Grade, Grader
from prompt_oirl.records import Prompt, Question
from prompt_oirl.runs.outcomes import Completion

if TYPE_CHECKING:
    from prompt_oirl.runs.store import RunStore, StoredOutcome

__all__ = ["AnswerGrader", "GradeChange", "PromptGrades", "Regrading", "grade_run"]

_MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class GradeChange:
    """One answer that had another grade before."""

    before: Grade
    after: Grade
    query: str
    prompt_id: str
    answer: str
    gold: str

    def to_dict(self) -> dict[str, str]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"before": self.before.value, "after": self.after.value}


@dataclass(frozen=True, slots=True)
class PromptGrades:
    """What one prompt's answers are worth, by these grades and by those before."""

    prompt_id: str
    n_correct: int
    n_wrong: int
    n_unparsed: int

    success_rate: float | None
    """Correct of correct and wrong; None where there is neither."""

    success_rate_before: float | None
    """The same by the grades before."""


@dataclass(frozen=True)
class Regrading:
    """What grading a run found, and what it changed."""

    grader: str
    """Name that the grades are stored under."""

    grader_before: str | None
    """Name of the grades that these are compared with, the latest until then; None where there were none."""

    n_answers: int
    n_new: int
    """Answers that had no grade before."""

    changes: Mapping[Grade, Mapping[Grade, int]]
    """Grade before → grade → number of answers, of those that had a grade before; what stayed is on the diagonal."""

    examples: tuple[GradeChange, ...]
    """The first five of each kind of change."""

    prompts: tuple[PromptGrades, ...]
    """In the order of the run."""

    n_cut: int
    """Answers that were cut at the limit of tokens, perhaps before they came to their result."""

    n_cut_unparsed: int
    """Of them, those without a result that could be read."""

    n_failures: int
    """Calls without an answer. They have no grade."""

    @property
    def n_changed(self) -> int:
        """Answers that have another grade than before."""
        return sum(n for before, row in self.changes.items() for after, n in row.items() if after is not before)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        changes = {before.value: {after.value: n for after, n in row.items()} for before, row in self.changes.items()}
        return vars(self) | {
            "n_changed": self.n_changed,
            "changes": changes,
            "examples": [example.to_dict() for example in self.examples],
            "prompts": [asdict(prompt) for prompt in self.prompts],
        }


def grade_run(store: RunStore, grader: Grader, name: str) -> Regrading:
    """Grade every stored answer against its query's gold answer, and store the grades.

    Answers are read one at a time, and nothing is stored unless every one of them could be graded. Grades that were
    stored under the same name are replaced, those of other names kept; the latest are the ones that count.

    Args:
        store: The run's.
        grader: Compares an answer with a gold answer.
        name: What the grades are stored under, such as the name that `get_grader` knows the grader by.

    Raises:
        DataError: Queries with an answer have no gold answer, or one that the grader cannot read.
    """
    grader_before = store.grader
    tally = _Tally(before={} if grader_before is None else store.grades())
    of_answer = AnswerGrader(grader, store.queries())
    grades: dict[bytes, Grade] = {}
    for stored in store.outcomes():
        grade = of_answer.grade(stored)
        if grade is None:
            tally.n_failures += 1
        else:
            grades[stored.cell.key] = grade
            tally.add(stored, grade, of_answer.question(stored))
    of_answer.check()
    store.save_grades(name, grades.items())
    return tally.regrading(name, grader_before, store.prompts())


def correct_golds(store: RunStore, questions: Sequence[Question]) -> int:
    """Take over gold answers that were corrected; return how many of the run's queries have another one now.

    Queries that are not the run's are passed over. Grades of the answers concerned are removed.

    Raises:
        DataError: None of the queries is the run's.
    """
    golds = {question.query.id: question.gold for question in store.queries()}
    known = [question for question in questions if question.query.id in golds]
    if not known:
        raise DataError(f"none of the {len(questions)} queries is one of the run's {len(golds)}; name the same queries")
    store.register(known, store.prompts())
    return sum(question.gold is not None and question.gold != golds[question.query.id] for question in known)


class AnswerGrader:
    """Grades outcomes by their query's gold answer, and keeps what is wrong with gold answers until `check`.

    Args:
        grader: Compares an answer with a gold answer.
        questions: The run's queries with their gold answers.
    """

    def __init__(self, grader: Grader, questions: Iterable[Question]) -> None:
        self._grader = grader
        self._questions = {question.query.id: question for question in questions}
        self._problems: dict[str, str | None] = {}

    def question(self, stored: StoredOutcome) -> Question:
        """Return the query of an outcome, with its gold answer."""
        return self._questions[stored.cell.query_id]

    def grade(self, stored: StoredOutcome) -> Grade | None:
        """Return the grade of an answer; None for a failure, and UNPARSED where the gold answer is no good."""
        if not isinstance(stored.outcome, Completion):
            return None
        gold = self.question(stored).gold
        if gold is None:
            self._problems[stored.cell.query_id] = None
        elif stored.cell.query_id not in self._problems:
            try:
                return self._grader.grade(stored.outcome.text, gold)
            except DataError as error:
                self._problems[stored.cell.query_id] = str(error)
        return Grade.UNPARSED

    def check(self) -> None:
        """Raise if an answer so far met no gold answer, or one that cannot be read.

        Raises:
            DataError: With the number of queries, the first of them, and the way out.
        """
        missing = [id for id, problem in self._problems.items() if problem is None]
        if missing:
            raise DataError(
                f"{len(missing)} queries that have answers have no gold answer, for example "
                f"{self._questions[missing[0]].query.text[:80]!r}; add it to the file of queries and run the same "
                "`prompt-oirl collect` again, which asks nothing that is answered"
            )
        for id, problem in self._problems.items():
            raise DataError(
                f"{len(self._problems)} gold answers cannot be read, for example that of "
                f"{self._questions[id].query.text[:80]!r}: {problem}; or correct it in the file of queries and run the "
                "same `prompt-oirl collect` again, which asks nothing that is answered"
            )


@dataclass(eq=False)
class _Tally:
    """Counts what a grading finds."""

    before: Mapping[bytes, Grade]
    changes: Counter[tuple[Grade, Grade]] = field(default_factory=Counter)
    of_prompt: Counter[tuple[str, Grade]] = field(default_factory=Counter)
    of_prompt_before: Counter[tuple[str, Grade]] = field(default_factory=Counter)
    cut: Counter[Grade] = field(default_factory=Counter)
    examples: list[GradeChange] = field(default_factory=list)
    n_failures: int = 0

    def add(self, stored: StoredOutcome, grade: Grade, question: Question) -> None:
        """Count one answer."""
        prompt_id, answer = stored.cell.prompt_id, stored.outcome
        if not isinstance(answer, Completion):
            return
        self.of_prompt[prompt_id, grade] += 1
        self.cut[grade] += answer.finish_reason == "length"
        before = self.before.get(stored.cell.key)
        if before is None:
            return
        self.of_prompt_before[prompt_id, before] += 1
        self.changes[before, grade] += 1
        if grade is not before and self.changes[before, grade] <= _MOST_EXAMPLES:
            texts = (question.query.text, prompt_id, answer.text, question.gold or "")
            self.examples.append(GradeChange(before, grade, *texts))

    def regrading(self, grader: str, grader_before: str | None, prompts: Sequence[Prompt]) -> Regrading:
        """Return what was found."""
        n_answers = self.of_prompt.total()
        return Regrading(
            grader=grader,
            grader_before=grader_before,
            n_answers=n_answers,
            n_new=n_answers - self.changes.total(),
            changes={before: {after: self.changes[before, after] for after in Grade} for before in Grade},
            examples=tuple(self.examples),
            prompts=tuple(self._of_prompt(prompt.id) for prompt in prompts),
            n_cut=self.cut.total(),
            n_cut_unparsed=self.cut[Grade.UNPARSED],
            n_failures=self.n_failures,
        )

    def _of_prompt(self, prompt_id: str) -> PromptGrades:
        return PromptGrades(
            prompt_id=prompt_id,
            n_correct=self.of_prompt[prompt_id, Grade.CORRECT],
            n_wrong=self.of_prompt[prompt_id, Grade.WRONG],
            n_unparsed=self.of_prompt[prompt_id, Grade.UNPARSED],
            success_rate=_success_rate(self.of_prompt, prompt_id),
            success_rate_before=_success_rate(self.of_prompt_before, prompt_id),
        )


def _success_rate(counts: Counter[tuple[str, Grade]], prompt_id: str) -> float | None:
    n_correct, n_wrong = counts[prompt_id, Grade.CORRECT], counts[prompt_id, Grade.WRONG]
    return n_correct / (n_correct + n_wrong) if n_correct + n_wrong else None
