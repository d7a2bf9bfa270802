"""Self-criticism, the paper's "LMSC": the LLM judges its own stored answers.

Each answer costs one more call, so choosing among K prompts takes K answers and K critiques of every query. Source: the
paper's baseline, arXiv 2309.06553; the wording is this package's own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray
from prompt_oirl.collect.call import Call
from prompt_oirl.collect.critique.verdicts import Verdict, read_verdict
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.records import SLOT, Message, Query
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.spending import Spending

if TYPE_CHECKING:
    from prompt_oirl.runs.store import RunStore, StoredOutcome

__all__ = ["ANSWER_SLOT", "CRITIQUE_TEMPLATE", "Critic", "Critiques", "critique_calls", "critiques_of"]

ANSWER_SLOT = "{{answer}}"
"""The literal that a critique's template holds where the answer goes."""

CRITIQUE_TEMPLATE = """\
Below are a question and an answer that somebody gave to it. Check the answer: work out for yourself what is asked, \
and see whether the answer comes to the same result.

<question>
{{query}}
</question>

<answer>
{{answer}}
</answer>

End your reply with these two lines and nothing after them, the first with one of the two words, the second with the \
chance, from 0% to 100%, that the answer is correct:
Verdict: correct or incorrect
Probability: a number followed by %"""

_SLOTS = re.compile("|".join(map(re.escape, (SLOT, ANSWER_SLOT))))
_NO_TEXT = "(no text)"
_NOTE = "critic"


@dataclass(frozen=True, slots=True)
class Critic:
    """How the LLM is asked to judge an answer.

    Raises:
        DataError: The template lacks one of its slots.
        ParameterError: A parameter is outside its range.
    """

    template: str = CRITIQUE_TEMPLATE
    """What the user's message says, with `{{query}}` and `{{answer}}` where these go. Both are put in at once, so a
    slot that an answer or a query holds stays as it is."""

    temperature: float | None = 0.0
    """None: the server's default, for models that take no other."""

    max_tokens: int | None = 512
    """Most tokens of a critique."""

    def __post_init__(self) -> None:
        missing = [slot for slot in (SLOT, ANSWER_SLOT) if slot not in self.template]
        if missing:
            raise DataError(
                f"the critique's template {self.template[:80]!r} has no {' and no '.join(missing)}; write {SLOT} where "
                f"the question goes, and {ANSWER_SLOT} where the answer goes"
            )
        self.parameters(SamplingParameters())

    def messages(self, query: Query, answer: str) -> tuple[Message, ...]:
        """Return what the LLM is asked about an answer; half a surrogate pair in it becomes a question mark."""
        encodable = answer.encode("utf-8", "replace").decode()
        texts = {SLOT: query.text, ANSWER_SLOT: encodable if answer.strip() else _NO_TEXT}
        return (Message("user", _SLOTS.sub(lambda slot: texts[slot[0]], self.template)),)

    def parameters(self, of_run: SamplingParameters) -> SamplingParameters:
        """Return how critiques are sampled: as the run's answers, but for temperature, top_p, length and stops."""
        return replace(of_run, temperature=self.temperature, top_p=None, max_tokens=self.max_tokens, stop=())

    def configuration(self, of_run: RunConfiguration) -> RunConfiguration:
        """Return what the keys of the critiques are made with: the run's LLM, and these parameters."""
        return replace(of_run, parameters=self.parameters(of_run.parameters))

    def note(self, store: RunStore) -> None:
        """Keep it with the run, so that later readers know which critiques are meant."""
        store.note(_NOTE, json.dumps(asdict(self), ensure_ascii=False))

    @classmethod
    def noted(cls, store: RunStore) -> Self | None:
        """Return the one that was kept last; None where there was none."""
        text = store.noted(_NOTE)
        return None if text is None else cls(**json.loads(text))


def critique_calls(store: RunStore, critic: Critic) -> Iterator[Call]:
    """Yield the calls that have every stored answer judged, those too that have been made already.

    Equal answers to one query are judged once: the cell names the first of them as its subject.

    Args:
        store: Of the run; it may be written to meanwhile.
        critic: How to ask.
    """
    seen: set[bytes] = set()
    for key, messages, stored in _questions(store, critic):
        if key not in seen:
            seen.add(key)
            cell, subject = stored.cell, stored.cell.key
            yield Call(Cell(key, cell.query_id, cell.prompt_id, purpose="critique", subject=subject), messages)


def _questions(store: RunStore, critic: Critic) -> Iterator[tuple[bytes, tuple[Message, ...], StoredOutcome]]:
    """Yield, for each answer, the key and the messages of its critique."""
    queries = {question.query.id: question.query for question in store.queries()}
    keys = CellKeys(critic.configuration(store.configuration))
    for stored in store.outcomes(answered_only=True):
        if isinstance(stored.outcome, Completion):
            messages = critic.messages(queries[stored.cell.query_id], stored.outcome.text)
            yield keys.of(messages), messages, stored


@dataclass(frozen=True, eq=False)
class Critiques:
    """What an LLM thinks of its own answers, in the order of a run's demonstrations."""

    confidence: FloatArray
    """(n_queries, n_prompts) stated probability that the answer is correct, the mean over the samples of a cell; NaN
    where there is no answer, or no critique that could be read."""

    is_complete: BoolArray
    """(n_queries,) whether each of the query's answers has been asked about."""

    n_answers: int
    n_parsed: int
    """Answers with a critique that could be read."""

    n_unparsed: int
    """Answers with a critique that could not."""

    n_failed: int
    """Answers for which the call failed."""

    n_missing: int
    """Answers that were not asked about yet."""

    n_contradictory: int
    """Critiques whose verdict and probability disagree; both are kept as they stand."""

    spending: Spending
    """On these critiques; those of another template or other parameters do not count."""

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and the spending as JSON can hold them."""
        counts = {name: value for name, value in vars(self).items() if name.startswith("n_")}
        return counts | {"spending": self.spending.to_dict()}


def critiques_of(store: RunStore, demonstrations: Demonstrations, critic: Critic) -> Critiques:
    """Read the stored critiques of a run's answers, without a call.

    Args:
        store: Of the run.
        demonstrations: Of the run, as `demonstrations_of` makes them, or some of their queries or prompts.
        critic: How the LLM was asked: critiques of another template or other parameters are passed over.
    """
    row_of = {query.id: row for row, query in enumerate(demonstrations.queries)}
    column_of = {prompt_id: column for column, prompt_id in enumerate(demonstrations.prompt_ids)}
    stored_critiques = {stored.cell.key: _Judgement.of(stored.outcome) for stored in store.outcomes("critique")}
    total, n_parsed = np.zeros(demonstrations.trials.shape), np.zeros(demonstrations.trials.shape)
    is_complete = np.ones(demonstrations.n_queries, dtype=np.bool_)
    used: dict[bytes, _Judgement] = {}
    counts: Counter[str] = Counter()
    for key, _, stored in _questions(store, critic):
        row, column = row_of.get(stored.cell.query_id), column_of.get(stored.cell.prompt_id)
        if row is None or column is None:
            continue
        judgement = stored_critiques.get(key, _MISSING)
        counts[judgement.kind] += 1
        if judgement.kind == "missing":
            is_complete[row] = False
            continue
        used[key] = judgement
        if judgement.verdict is not None:
            total[row, column] += judgement.verdict.probability
            n_parsed[row, column] += 1
    confidence: FloatArray = np.full(total.shape, np.nan)
    np.divide(total, n_parsed, out=confidence, where=n_parsed > 0)
    return Critiques(
        confidence=confidence,
        is_complete=is_complete,
        n_answers=counts.total(),
        n_parsed=counts["parsed"],
        n_unparsed=counts["unparsed"],
        n_failed=counts["failed"],
        n_missing=counts["missing"],
        n_contradictory=sum(each.verdict is not None and each.verdict.is_contradictory for each in used.values()),
        spending=_total([each.spending for each in used.values()]),
    )


class _Judgement(NamedTuple):
    """What one critique came to, without its text."""

    kind: Literal["parsed", "unparsed", "failed", "missing"]
    verdict: Verdict | None
    spending: Spending

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        spent = Spending(
            requests=outcome.attempts,
            prompt_tokens=outcome.prompt_tokens or 0,
            completion_tokens=outcome.completion_tokens or 0,
        )
        if isinstance(outcome, Failure):
            return cls("failed", None, replace(spent, failed=1))
        verdict = read_verdict(outcome.text)
        is_uncounted = outcome.prompt_tokens is None or outcome.completion_tokens is None
        spending = replace(spent, answered=1, uncounted=int(is_uncounted))
        return cls("unparsed" if verdict is None else "parsed", verdict, spending)


_MISSING = _Judgement("missing", None, Spending())


def _total(spendings: Iterable[Spending]) -> Spending:
    rows = np.array([astuple(each) for each in spendings], dtype=np.int64).reshape(-1, len(fields(Spending)))
    return Spending(*rows.sum(axis=0).tolist())
