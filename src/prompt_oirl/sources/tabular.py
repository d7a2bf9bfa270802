"""Read and write demonstrations as plain files: one row a logged trial, or one row a query × prompt with its counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.files import atomic_path
from prompt_oirl.grading import Grader
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.columns import ExtraColumns, read_columns
from prompt_oirl.sources.propensities import ACTION_PROBABILITIES, ATTEMPTS, PROPENSITY, look_at_propensities
from prompt_oirl.sources.row_counts import COUNT_COLUMNS, LABEL_COLUMNS, read_row_counts
from prompt_oirl.sources.row_prompts import PROMPT_COLUMNS, context_to_json, read_row_prompts

__all__ = ["LOG_COLUMNS", "read_demonstrations", "write_demonstrations"]

# What a run's export says of each trial beside its outcome. None of it is one of a demonstration's fields, so it is
# passed over; all of it is known, so that an export is read as it is and a misspelt column is still an error.
LOG_COLUMNS = (
    "sample",
    "model",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "latency",
    ATTEMPTS,
    "failure",
    "failure_message",
)
_PROPENSITIES = (PROPENSITY, ACTION_PROBABILITIES, ATTEMPTS)
_COLUMNS = ("query", *PROMPT_COLUMNS, *LABEL_COLUMNS, "answer", "gold", *COUNT_COLUMNS, *_PROPENSITIES)
_MOST_CELLS = 10**8
"""Counts are held for every query × prompt: three arrays of this size are 2.4 GB."""


def read_demonstrations(
    path: Path | str,
    *,
    grader: Grader | None = None,
    prompts: Sequence[Prompt] | None = None,
    extra_columns: ExtraColumns = "error",
) -> Demonstrations:
    """Read logged trials from a `.jsonl`, `.csv` or `.parquet` file.

    Columns:

    - `query`: the text.
    - `prompt`: a template with a `{{query}}` slot, or a wording that follows the query. `prompt_id`: its name. Either
      or both; with an id alone the text comes from `prompts`, and without them the id is taken for the wording.
      `prompt_context`: the messages before `prompt`, a JSON list of `role` and `content`; empty where there are none.
    - `correct` (or `reward`): 1, 0, true, false, or empty where there is none. Or, with a grader, `answer` (empty
      where there is none) and `gold`. Or, as `write_demonstrations` makes them, the counts `trials`, `successes` and
      `unscored` of one query × prompt.

    - `propensity`: with which probability the trial was bought, or the prompt chosen where rows are decisions, and
      `action_probabilities`, that of each candidate. They are not kept; if they vary, a warning says so.

    The other columns of a run's export, `LOG_COLUMNS`, are passed over.

    Args:
        path: The file; its suffix says what it is.
        grader: Grades `answer` against `gold`; a label that is there too is not used then.
        prompts: The prompt set that was used. All of it is in the result, in its order, tried or not.
        extra_columns: Whether columns of other names are an error (a misspelt `correct` is one) or ignored.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is malformed; the message names the row, the value and the way out.
    """
    columns = read_columns(Path(path), _COLUMNS, passed_over=LOG_COLUMNS, extra_columns=extra_columns)
    queries = columns.filled("query", way_out="drop the row or fill it in")
    row_prompts, prompt_of_row = read_row_prompts(columns, prompts)
    counts = read_row_counts(columns, grader)
    look_at_propensities(columns)
    shape = (len(queries.values), len(row_prompts))
    if shape[0] * shape[1] > _MOST_CELLS:
        raise columns.error(
            f"{shape[0]} distinct queries × {shape[1]} distinct prompts are more than {_MOST_CELLS} cells; if the "
            "prompts have the queries in them, write {{query}} in their place"
        )
    cells = queries.codes * shape[1] + prompt_of_row

    def summed(of_rows: IntArray) -> IntArray:
        return np.bincount(cells, weights=of_rows, minlength=shape[0] * shape[1]).astype(np.int64).reshape(shape)

    return Demonstrations(
        queries=tuple(map(Query, queries.values)),
        prompts=row_prompts,
        trials=summed(counts.trials),
        successes=summed(counts.successes),
        unscored=summed(counts.unscored),
    )


def write_demonstrations(demonstrations: Demonstrations, path: Path | str) -> None:
    """Write demonstrations to a `.jsonl` or `.parquet` file, one row a query × prompt; reading gives the same again.

    Cells without a trial are left out, except for the first query's and for one of each query that has none at all:
    they keep the order and hold the place.

    Raises:
        DataError: There is no query or no prompt, so that nothing can be written.
        ParameterError: The suffix is neither `.jsonl` nor `.parquet`.
    """
    path = Path(path)
    if path.suffix not in (".jsonl", ".parquet"):
        raise ParameterError(f"demonstrations are written as .jsonl or .parquet, not as {path.name!r}")
    if not demonstrations.n_queries or not demonstrations.n_prompts:
        raise DataError(
            f"{demonstrations.n_queries} queries × {demonstrations.n_prompts} prompts: there is nothing to write"
        )
    rows, columns = _written_cells(demonstrations)
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            _write_parquet(demonstrations, temporary, rows, columns)
        else:
            _write_jsonl(demonstrations, temporary, rows, columns)


def _written_cells(demonstrations: Demonstrations) -> tuple[IntArray, IntArray]:
    is_written = (demonstrations.trials + demonstrations.unscored) > 0
    is_written[0] = True
    is_written[~is_written.any(axis=1), 0] = True
    rows, columns = np.nonzero(is_written)
    return rows, columns


def _prompt_columns(prompts: Sequence[Prompt]) -> dict[str, list[str]]:
    """Return what each column says of each prompt; contexts have one where there is a context."""
    columns = {"prompt_id": [prompt.id for prompt in prompts], "prompt": [prompt.template for prompt in prompts]}
    if any(prompt.context for prompt in prompts):
        columns["prompt_context"] = [context_to_json(prompt.context) if prompt.context else "" for prompt in prompts]
    return columns


def _write_parquet(demonstrations: Demonstrations, path: Path, rows: IntArray, columns: IntArray) -> None:
    def taken(texts: Sequence[str], codes: IntArray) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(texts, pa.string()))

    table = pa.table(
        {
            "query": taken([query.text for query in demonstrations.queries], rows),
            **{name: taken(texts, columns) for name, texts in _prompt_columns(demonstrations.prompts).items()},
            **{name: getattr(demonstrations, name)[rows, columns] for name in COUNT_COLUMNS},
        }
    )
    pyarrow.parquet.write_table(table, path, compression="zstd")


def _write_jsonl(demonstrations: Demonstrations, path: Path, rows: IntArray, columns: IntArray) -> None:
    queries = [_json(query.text) for query in demonstrations.queries]
    of_prompt = _prompt_columns(demonstrations.prompts)
    prompts = [
        ", ".join(f'"{name}": {_json(text)}' for name, text in zip(of_prompt, texts, strict=True))
        for texts in zip(*of_prompt.values(), strict=True)
    ]
    counts = zip(*(getattr(demonstrations, name)[rows, columns].tolist() for name in COUNT_COLUMNS), strict=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(
            f'{{"query": {queries[row]}, {prompts[column]}, '
            f'"trials": {trials}, "successes": {successes}, "unscored": {unscored}}}\n'
            for row, column, (trials, successes, unscored) in zip(rows.tolist(), columns.tolist(), counts, strict=True)
        )


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
