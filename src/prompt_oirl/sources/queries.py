"""What to ask an LLM: queries with their gold answers from a file, or the paper's questions and prompts by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.sources.columns import Columns, ExtraColumns, TextColumn, read_columns
from prompt_oirl.sources.data_folder import data_folder, release_folder
from prompt_oirl.sources.questions import DATASETS, Dataset, Part, read_questions
from prompt_oirl.sources.release_prompts import read_release_prompts
from prompt_oirl.sources.text_file import read_text

__all__ = ["named_questions", "read_queries", "release_prompt_set"]

_COLUMNS = ("query", "gold")
_SUFFIXES = (".jsonl", ".csv", ".parquet", ".txt")
_SYNONYMS = {
    **dict.fromkeys(("question", "input", "text", "problem"), "query"),
    **dict.fromkeys(("answer", "target", "label", "expected", "reference", "solution"), "gold"),
}


def read_queries(
    path: Path | str, *, require_gold: bool = False, extra_columns: ExtraColumns = "error"
) -> tuple[Question, ...]:
    """Read the queries to ask, each once, in order of first appearance.

    A `.jsonl`, `.csv` or `.parquet` file has a column `query` and, where answers are to be graded, `gold`. A `.txt`
    file has one query a line and no gold answers.

    Args:
        path: The file; its suffix says what it is.
        require_gold: Whether a query without a gold answer is an error.
        extra_columns: Whether columns of other names are an error (a misspelt `gold` is one) or ignored.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is empty or malformed, a query is empty or has two gold answers, or a gold answer is
            missing that is required; the message names the row and the way out.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"{path} is no file; name a file of queries that ends in {', '.join(_SUFFIXES)}")
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise FileFormatError(path, f"the suffix {path.suffix!r} is not known; use {', '.join(_SUFFIXES)}")
    if suffix == ".txt":
        if require_gold:
            raise FileFormatError(path, "a .txt file has no gold answers; write .jsonl, .csv or .parquet with 'gold'")
        return _of_lines(path)
    columns = read_columns(path, _COLUMNS, extra_columns=extra_columns, synonyms=_SYNONYMS)
    return _of_columns(columns, require_gold=require_gold)


def _of_lines(path: Path) -> tuple[Question, ...]:
    text = read_text(path).removeprefix("\ufeff").rstrip("\n")
    if not text:
        raise FileFormatError(path, "is empty; one query a line is needed")
    lines = text.split("\n")
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            problem = "the line is empty; drop it, or use .jsonl for queries of several lines"
            raise FileFormatError(path, problem, row=row)
    return tuple(Question(Query(line)) for line in dict.fromkeys(lines))


def _of_columns(columns: Columns, *, require_gold: bool) -> tuple[Question, ...]:
    queries = columns.filled("query", way_out="drop the row or fill it in")
    golds = columns.by_name.get("gold")
    if require_gold and golds is None:
        raise columns.error(f"the column 'gold' is missing; there are {', '.join(columns.by_name)}")
    gold_of_query = {} if golds is None else _gold_of_query(columns, queries, golds)
    if require_gold and len(gold_of_query) < len(queries.values):
        without = next(code for code in range(len(queries.values)) if code not in gold_of_query)
        problem = "'gold' is empty; fill in the right answer or drop the row"
        raise columns.error(problem, row=queries.first_row(without))
    return tuple(Question(Query(text), gold_of_query.get(code)) for code, text in enumerate(queries.values))


def _gold_of_query(columns: Columns, queries: TextColumn, golds: TextColumn) -> dict[int, str]:
    """Return the gold answer of each query that has one, by the query's code; golds that differ are an error."""
    texts = [text.strip() for text in golds.values]
    found: dict[int, str] = {}
    for row, (query, gold) in enumerate(zip(queries.codes.tolist(), golds.codes.tolist(), strict=True)):
        if gold < 0 or not texts[gold]:
            continue
        if found.setdefault(query, texts[gold]) != texts[gold]:
            raise columns.error(
                f"the gold answer to {queries.values[query][:60]!r} is {texts[gold][:60]!r} here and "
                f"{found[query][:60]!r} above; keep one of the two",
                row=row,
            )
    return found


def named_questions(name: Dataset, data: Path | str | None = None, *, part: Part = "all") -> tuple[Question, ...]:
    """Return the distinct questions of one of the paper's data sets, in order of first appearance.

    The rows of MAWPS and SVAMP repeat their questions: `read_questions(…).select(part)` has the rows. A few questions
    have gold answers that differ between rows, mostly in how a number is written; the first row's stands.

    Args:
        name: `gsm8k`, `mawps` or `svamp`.
        data: A data folder; `$PROMPT_OIRL_DATA` or the user cache if not given.
        part: The paper's training rows, its test rows, or all. On MAWPS and SVAMP the two parts share questions.

    Raises:
        DataNotFoundError: The data set is not there.
        FileFormatError: A file is malformed.
        ParameterError: There is no such data set or part.
    """
    return _distinct(read_questions(data_folder(data), name).select(part))


def _distinct(questions: Iterable[Question]) -> tuple[Question, ...]:
    first_of_query: dict[Query, Question] = {}
    for question in questions:
        first_of_query.setdefault(question.query, question)
    return tuple(first_of_query.values())


def release_prompt_set(name: Dataset, data: Path | str | None = None) -> tuple[Prompt, ...]:
    """Return the sixteen prompts of the release as they were sent for a data set: the question, then the prompt.

    Args:
        name: `gsm8k`, `mawps` or `svamp`: what stands between question and prompt differs.
        data: A data folder; `$PROMPT_OIRL_DATA` or the user cache if not given.

    Raises:
        DataNotFoundError: The release is not there.
        FileFormatError: Its prompts are malformed.
        ParameterError: There is no such data set.
    """
    if name not in DATASETS:
        raise ParameterError(f"{name!r} is no data set of the release; use one of {', '.join(DATASETS)}")
    return tuple(prompt.as_sent(name) for prompt in read_release_prompts(release_folder(data_folder(data))))
