"""Read logged decisions with their propensities from a plain file, one row a decision."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.errors import DataError
from prompt_oirl.grading import Grader
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.columns import Columns, ExtraColumns, TextColumn, read_columns
from prompt_oirl.sources.logged_decisions import LoggedDecisions, PropensityOf
from prompt_oirl.sources.propensities import ACTION_PROBABILITIES, ATTEMPTS, PROPENSITY, parse_action_probabilities
from prompt_oirl.sources.row_counts import COUNT_COLUMNS, LABEL_COLUMNS, read_row_counts
from prompt_oirl.sources.row_prompts import PROMPT_COLUMNS, read_row_prompts
from prompt_oirl.sources.tabular import LOG_COLUMNS

__all__ = ["read_logged_decisions"]

_KNOWN = ("query", *PROMPT_COLUMNS, *LABEL_COLUMNS, "answer", "gold", PROPENSITY, ACTION_PROBABILITIES, ATTEMPTS)
_WORDS = {"true": 1.0, "false": 0.0, "": math.nan}
_TOLERANCE = 1e-6


def read_logged_decisions(
    path: Path | str,
    *,
    grader: Grader | None = None,
    prompts: Sequence[Prompt] | None = None,
    extra_columns: ExtraColumns = "error",
    propensity_of: PropensityOf | None = None,
) -> LoggedDecisions:
    """Read decisions from a `.jsonl`, `.csv` or `.parquet` file, one row a decision.

    Columns:

    - `query`, `prompt`, `prompt_id`, `prompt_context`: as `read_demonstrations` reads them.
    - `correct` or `reward`: a number from 0 to 1, true, false, or empty where there is none. Or, with a grader,
      `answer` and `gold`.
    - `propensity`: the probability of the row's prompt, above 0 and at most 1; in every row or in none.
    - `action_probabilities`: optional, a JSON object, a struct or map of Parquet, or the object's text: the id of each
      candidate and its probability, which sum to 1: `{"steps": 0.9, "short": 0.1}`. It tells exactly where logging had
      support.

    Args:
        path: The file; its suffix says what it is.
        grader: Grades `answer` against `gold`; a label that is there too is not used then.
        prompts: The prompt set that was used. All of it is in the result, in its order, chosen or not.
        extra_columns: Whether columns of other names are an error or ignored.
        propensity_of: What propensities are the probability of. Seen from the columns if None: `cell` for the export
            of a run, `choice` for all else.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is malformed, or holds decisions and cells of a run; the message names the row, the
            value and the way out.
    """
    columns = read_columns(Path(path), (*_KNOWN, *COUNT_COLUMNS), passed_over=LOG_COLUMNS, extra_columns=extra_columns)
    kind = _kind(columns, propensity_of)
    queries = columns.filled("query", way_out="drop the row or fill it in")
    row_prompts, prompt_of_row = read_row_prompts(columns, prompts)
    propensities = _propensities(columns)
    probabilities = _action_probabilities(columns, row_prompts, prompt_of_row, propensities, kind)
    return LoggedDecisions(
        tuple(map(Query, queries.values)),
        row_prompts,
        queries.codes,
        prompt_of_row,
        _rewards(columns, grader),
        propensities,
        probabilities,
        propensity_of=kind,
    )


def _kind(columns: Columns, named: PropensityOf | None) -> PropensityOf:
    """Return the kind of the propensities.

    Raises:
        FileFormatError: Some rows are of the export of a run and some are not.
    """
    if ATTEMPTS not in columns:
        return named or "choice"
    is_of_run = columns[ATTEMPTS].codes >= 0
    if is_of_run.any() and not is_of_run.all():
        raise columns.error(
            f"has no {ATTEMPTS!r}, as other rows do: rows of a run, whose propensity is that a query × prompt was "
            "bought, and decisions, whose propensity is that a prompt was chosen, cannot be weighted together; keep a "
            "file for each",
            row=int(is_of_run.argmin()),
        )
    return named or ("cell" if is_of_run.all() else "choice")


def _rewards(columns: Columns, grader: Grader | None) -> FloatArray:
    """Return (n_rows,) rewards from 0 to 1, NaN where there is none."""
    counts = [name for name in COUNT_COLUMNS if name in columns]
    if counts:
        raise columns.error(
            f"the columns {', '.join(counts)} are counts, which say nothing of single decisions; name the log "
            "that they were counted from, one row a decision"
        )
    labels = [name for name in LABEL_COLUMNS if name in columns]
    if grader is not None or len(labels) != 1:
        graded = read_row_counts(columns, grader)
        return np.where(graded.trials > 0, graded.successes, np.nan).astype(np.float64)
    expected = "a number from 0 to 1, true, false, or nothing where there is no reward"
    return _numbers(columns, columns[labels[0]], labels[0], lambda number: 0 <= number <= 1, expected)


def _propensities(columns: Columns) -> FloatArray | None:
    """Return (n_rows,) propensities, or None where no row has one."""
    if PROPENSITY not in columns or not (columns[PROPENSITY].codes >= 0).any():
        return None
    column = columns.filled(PROPENSITY, way_out="other rows have one: fill it in, or leave the row out")
    return _numbers(columns, column, PROPENSITY, lambda number: 0 < number <= 1, "above 0 and at most 1")


def _numbers(
    columns: Columns, column: TextColumn, name: str, is_right: Callable[[float], bool], expected: str
) -> FloatArray:
    numbers = []
    for code, text in enumerate(column.values):
        number = _WORDS.get(text.strip().lower(), _number(text)) if name != PROPENSITY else _number(text)
        if not is_right(number) and (text.strip() or name == PROPENSITY):
            raise columns.error(f"{name!r} is {text!r:.80}; {expected} is expected", row=column.first_row(code))
        numbers.append(number)
    taken: FloatArray = np.array([*numbers, math.nan])[column.codes]
    return taken


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _action_probabilities(
    columns: Columns,
    prompts: Sequence[Prompt],
    prompt_of_row: IntArray,
    propensities: FloatArray | None,
    kind: PropensityOf,
) -> FloatArray | None:
    """Return (n_rows, n_prompts) probabilities, or None where there are none.

    Raises:
        FileFormatError: They are no JSON object of known prompts, no probabilities, do not sum to 1, or disagree with
            the row's propensity.
    """
    if ACTION_PROBABILITIES not in columns or not (columns[ACTION_PROBABILITIES].codes >= 0).any():
        return None
    if kind == "cell":
        raise columns.error(
            f"{ACTION_PROBABILITIES!r} are those of a choice among prompts; the cells of a run have none"
        )
    column = columns.filled(ACTION_PROBABILITIES, way_out="other rows have them: fill them in, or leave the row out")
    position = {prompt.id: index for index, prompt in enumerate(prompts)}
    table: FloatArray = np.zeros((len(column.values), len(prompts)))
    for code, text in enumerate(column.values):
        try:
            _fill(table[code], text, position)
        except DataError as error:
            raise columns.error(
                f"{ACTION_PROBABILITIES!r} is {text!r:.200}; {error}", row=column.first_row(code)
            ) from error
    taken: FloatArray = table[column.codes]
    of_chosen = taken[np.arange(len(taken)), prompt_of_row]
    expected = of_chosen if propensities is None else propensities
    is_wrong = (of_chosen <= 0) | ~np.isclose(of_chosen, expected, rtol=1e-4, atol=_TOLERANCE)
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise columns.error(
            f"{ACTION_PROBABILITIES!r} give the row's prompt {prompts[prompt_of_row[row]].id!r:.80} "
            f"{of_chosen[row]:g}; its propensity, {expected[row]:g}, is expected, and more than 0",
            row=row,
        )
    return taken


def _fill(probabilities: FloatArray, text: str, position: Mapping[str, int]) -> None:
    """Fill the probabilities of one text in.

    Raises:
        DataError: It is something else than probabilities of prompts that sum to 1.
    """
    for id, probability in parse_action_probabilities(text).items():
        if id not in position and probability == 0:
            continue  # it was no candidate, and no row says how it reads
        if id not in position:
            raise DataError(f"the prompt {id!r:.80} is in no row; name the prompt set that was used (--prompts)")
        probabilities[position[id]] = probability
    total = float(probabilities.sum())
    if abs(total - 1) > _TOLERANCE * max(len(position), 1):
        raise DataError(f"they sum to {total:g}; 1 is expected, over the prompts that were candidates")
