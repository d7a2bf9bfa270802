"""Logged decisions as demonstrations with propensities: what the next reward model is learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.sources.row_file import Row, check_suffix, write_rows
from prompt_oirl.sources.row_prompts import context_to_json

__all__ = ["DecisionExport", "write_decisions"]

_TYPES: Mapping[str, pa.DataType] = {
    "query": pa.string(),
    "prompt_id": pa.string(),
    "prompt": pa.string(),
    "prompt_context": pa.string(),
    "correct": pa.int8(),
    "sample": pa.int32(),
    "propensity": pa.float64(),
}


@dataclass(frozen=True, slots=True)
class DecisionExport:
    """What an export holds, and what was left out of it."""

    path: Path
    n_rows: int
    """Trials: one for each decision that is there."""

    n_with_feedback: int
    """Those with a reward; `correct` is empty in the others."""

    n_among_some: int
    """Those whose prompt was chosen among named candidates: not left out, but their propensity is among these alone,
    and 0 for any other prompt."""

    n_playground: int
    """Left out: asked for in the playground, to try things out."""

    n_fallbacks: int
    """Left out: the best single prompt for want of a score, and so not chosen by the policy."""

    n_without_text: int
    """Left out: the text of the query is neither logged nor given, or there was none."""

    n_without_prompt: int
    """Left out: the wording of the prompt was not stored."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"path": str(self.path)}


def write_decisions(
    store: DecisionStore,
    path: Path | str,
    *,
    queries: Iterable[Query] = (),
    correct_from: float | None = None,
    recommender: str | None = None,
) -> DecisionExport:
    """Write the decisions of a store as `.jsonl` or `.parquet`, one row a trial, as `read_demonstrations` reads it.

    A decision without feedback has no reward, which is not the same as a wrong answer. The last feedback counts.
    Left out are the playground's decisions, fallbacks, and decisions whose text is not known. Choices among named
    candidates are written as all others are, and counted. Several decisions for one query and prompt are several
    trials.

    Columns: `query`, `prompt_id`, `prompt` (the last message with its `{{query}}` slot), `prompt_context` (the messages
    before it, as JSON; only where a prompt has some), `correct` (1, 0 or empty), `sample` and `propensity`.

    Args:
        store: Of decisions.
        path: The file; it is replaced when all is written, or not at all.
        queries: Texts of queries that were logged as hashes alone.
        correct_from: Rewards from this on count as correct, lower ones as wrong. Needed where rewards are not all 0 or
            1, for demonstrations are counts of trials and successes.
        recommender: Version whose decisions are written; all if None.

    Raises:
        DataError: Nothing can be written, a reward lies between 0 and 1, or an id stands for two wordings.
        ParameterError: The suffix is neither `.jsonl` nor `.parquet`, or `correct_from` is not in (0, 1].
        StoreError: The store is down.
    """
    path = Path(path)
    check_suffix(path)
    if correct_from is not None and not 0 < correct_from <= 1:
        raise ParameterError(f"correct_from={correct_from}: a reward above 0 and at most 1 is needed")
    wordings = {
        version: prompts
        for version, prompts in store.recommenders().items()
        if recommender is None or version == recommender
    }
    rows = _Rows(store, _by_id(wordings), {query.id: query.text for query in queries}, correct_from, recommender)
    has_context = any(prompt.context for prompts in wordings.values() for prompt in prompts)
    types = {name: type for name, type in _TYPES.items() if has_context or name != "prompt_context"}
    write_rows(path, types, rows)
    counts = rows.counts
    return DecisionExport(
        path=path,
        n_rows=counts["row"],
        n_with_feedback=counts["feedback"],
        n_among_some=counts["candidates"],
        n_playground=counts["playground"],
        n_fallbacks=counts["fallback"],
        n_without_text=counts["text"],
        n_without_prompt=counts["prompt"],
    )


def _by_id(wordings: Mapping[str, Iterable[Prompt]]) -> dict[tuple[str, str], Prompt]:
    """Return the prompts by version and id.

    Raises:
        DataError: An id stands for two wordings, so that trials of both would be counted as one prompt's.
    """
    first: dict[str, tuple[str, Prompt]] = {}
    found = {(version, prompt.id): prompt for version, prompts in wordings.items() for prompt in prompts}
    for (version, id), prompt in found.items():
        other, known = first.setdefault(id, (version, prompt))
        if known != prompt:
            raise DataError(
                f"the prompt id {id!r} stands for {prompt.text[:80]!r} in the recommender {version} and for "
                f"{known.text[:80]!r} in {other}; export the decisions of one of them (--recommender VERSION), and "
                "give each wording its own id"
            )
    return found


class _Rows:
    """The rows of an export, with what is left out of it counted."""

    def __init__(
        self,
        store: DecisionStore,
        prompts: Mapping[tuple[str, str], Prompt],
        texts: Mapping[str, str],
        correct_from: float | None,
        recommender: str | None,
    ) -> None:
        self._store = store
        self._prompts = prompts
        self._texts = texts
        self._correct_from = correct_from
        self._recommender = recommender
        self._between: Counter[float] = Counter()
        """Rewards that are neither 0 nor 1."""
        self.counts: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        samples: Counter[tuple[str, str]] = Counter()
        for decision, reward in self._store.decisions():
            if self._recommender not in (None, decision.recommender):
                continue
            self.counts["decision"] += 1
            row = self._row(decision)
            if row is not None:
                cell = (row["query"], row["prompt_id"])
                yield row | {"correct": self._correct(reward), "sample": samples[cell]}
                samples[cell] += 1
        self._check()

    def _row(self, decision: Decision) -> dict[str, Any] | None:
        """Return what a row says of a decision, all but its reward; None for one that is left out, which is counted."""
        text = decision.query or self._texts.get(decision.query_id) or ""
        prompt = self._prompts.get((decision.recommender, decision.prompt_id))
        if decision.source == "playground":
            self.counts["playground"] += 1
        elif decision.choice == "fallback":
            self.counts["fallback"] += 1
        elif not text.strip():
            self.counts["text"] += 1
        elif prompt is None:
            self.counts["prompt"] += 1
        else:
            self.counts["row"] += 1
            self.counts["candidates"] += decision.candidates is not None
            return {
                "query": text,
                "prompt_id": prompt.id,
                "prompt": prompt.template,
                "prompt_context": context_to_json(prompt.context) if prompt.context else None,
                "propensity": decision.propensity,
            }
        return None

    def _correct(self, reward: float | None) -> int | None:
        if reward is None:
            return None
        self.counts["feedback"] += 1
        if self._correct_from is not None:
            return int(reward >= self._correct_from)
        if reward not in (0, 1):
            self._between[reward] += 1
        return int(reward)

    def _check(self) -> None:
        """Raise if what was written is nothing, or not right."""
        if self._between:
            raise DataError(
                f"{self._between.total()} of {self.counts['feedback']} rewards are neither 0 nor 1, such as "
                f"{min(self._between):g}, and demonstrations count successes; say from which reward on an answer is "
                "correct (--correct-from; correct_from=)"
            )
        if not self.counts["row"]:
            raise DataError(self._why_nothing())

    def _why_nothing(self) -> str:
        of = "" if self._recommender is None else f" of the recommender {self._recommender}"
        n, counts = self.counts["decision"], self.counts
        left_out = f"{counts['fallback']} are fallbacks, {counts['playground']} of the playground"
        if not n:
            return f"{self._store.name}: there are no decisions{of} in it yet"
        if counts["text"]:
            where = "neither logged nor among the queries given" if self._texts else "not logged"
            return (
                f"{self._store.name}: the text of the query is {where} in {counts['text']} of {n} decisions{of}, and "
                f"{left_out}; name a file of the queries that were asked (--queries), and "
                "serve with --log-queries from now on"
            )
        return (
            f"{self._store.name}: none of {n} decisions{of} can be exported: {left_out}, and "
            f"the prompts of {counts['prompt']} were not stored"
        )
