"""The LLaMA-2 logs of the release: which file holds which rows, and the two formats, labels and answers.

| data set | prompts | file | rows |
|---|---|---|---|
| gsm8k | training | `llama_gsm8k_{kind}_{alias}.txt` | training rows |
| gsm8k | training | `llama_gsm8k_test_{kind}_{alias}.txt` | test rows |
| mawps, svamp | training | `llama_{dataset}_{kind}_{alias}.txt` | all rows |
| any | held-out | `llama_{dataset}_{kind}_{alias}.txt` | test rows |

where kind is `corr` for labels and `answers_list` for answers, and rows are numbered from 0 in every file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.sources.questions import Dataset, Part, part_rows
from prompt_oirl.sources.release_prompts import ReleasePrompt
from prompt_oirl.sources.text_file import read_text

__all__ = [
    "NOT_LOGGED",
    "LogFile",
    "log_files",
    "read_all_labels",
    "read_answer_file",
    "read_answers",
    "read_label_file",
]

NOT_LOGGED = -1
"""The label of a prompt that was not asked about a row."""

_LOGS = Path("llama_exps") / "llama2_chat_logs"
_LABEL = re.compile(r"\((\d+), (?:True|False)\)")
_RECORD_END = "\n====================\n"
_ANSWER = re.compile(r"""\((\d+), (['"].*['"])\)""")


class LogFile(NamedTuple):
    """One file of the logs and the rows of the data set that it holds."""

    path: Path
    start: int
    stop: int

    @property
    def n_rows(self) -> int:
        """Number of rows that the file must have."""
        return self.stop - self.start


def log_files(
    release: Path,
    dataset: Dataset,
    prompt: ReleasePrompt,
    *,
    kind: Literal["corr", "answers_list"],
    n_rows: int,
    n_train_rows: int,
) -> tuple[LogFile, ...]:
    """Return the files that hold a prompt's labels or answers, in the order of their rows; see the table above."""
    folder = release / _LOGS / dataset
    path = folder / f"llama_{dataset}_{kind}_{prompt.alias}.txt"
    if prompt.role == "held_out":
        return (LogFile(path, n_train_rows, n_rows),)
    if dataset == "gsm8k":
        test = folder / f"llama_{dataset}_test_{kind}_{prompt.alias}.txt"
        return LogFile(path, 0, n_train_rows), LogFile(test, n_train_rows, n_rows)
    return (LogFile(path, 0, n_rows),)


def read_all_labels(
    release: Path, dataset: Dataset, prompts: Sequence[ReleasePrompt], *, n_rows: int, n_train_rows: int
) -> IntArray:
    """Read the labels of every row and prompt of a data set.

    Returns:
        (n_rows, n_prompts) int8: 1 correct, 0 wrong, `NOT_LOGGED` where the prompt was not asked.

    Raises:
        DataNotFoundError: A file is missing.
        FileFormatError: A file is malformed, or there are labels of a prompt that is not among `prompts`.
    """
    columns = [
        log_files(release, dataset, prompt, kind="corr", n_rows=n_rows, n_train_rows=n_train_rows) for prompt in prompts
    ]
    _check_aliases(release / _LOGS / dataset, {file.path.name for files in columns for file in files})
    labels = np.full((n_rows, len(prompts)), NOT_LOGGED, dtype=np.int8)
    for column, files in enumerate(columns):
        for file in files:
            labels[file.start : file.stop, column] = read_label_file(file.path, n_rows=file.n_rows)
    return labels


def _check_aliases(folder: Path, known: set[str]) -> None:
    if not folder.is_dir():
        raise DataNotFoundError(
            f"there are no logs at {folder}; `prompt-oirl download` fetches them, `--data` or PROMPT_OIRL_DATA names "
            "another folder"
        )
    for path in sorted(folder.glob("*_corr_*.txt")):
        if path.name not in known:
            raise FileFormatError(path, "this file belongs to no known prompt; move it away, or add the prompt")


def read_label_file(path: Path | str, *, n_rows: int) -> NDArray[np.int8]:
    """Read a file of `(row, True)` and `(row, False)` lines, rows numbered from 0 in order.

    Returns:
        (n_rows,) 1 for True, 0 for False.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: A line is of another form, a row is out of order, or their number is not `n_rows`.
    """
    path = Path(path)
    lines = read_text(path).removesuffix("\n").split("\n")
    labels = [line.endswith("True)") for line in lines]
    if len(lines) != n_rows or lines != [f"({row}, {label})" for row, label in enumerate(labels)]:
        raise _label_error(path, lines, n_rows)
    return np.array(labels, dtype=np.int8)


def _label_error(path: Path, lines: Sequence[str], n_rows: int) -> FileFormatError:
    """Return an error that names the first line to blame."""
    for number, line in enumerate(lines):
        match = _LABEL.fullmatch(line)
        if match is None:
            problem = f"{line[:80]!r} is neither ({number}, True) nor ({number}, False)"
            return FileFormatError(path, problem, row=number + 1)
        if match[1] != str(number):
            return FileFormatError(path, f"row {match[1]} stands where row {number} is expected", row=number + 1)
    return FileFormatError(path, f"{len(lines)} labels, but {n_rows} are expected; is the file cut off?")


def read_answers(
    release: Path, dataset: Dataset, prompt: ReleasePrompt, *, part: Part, n_rows: int, n_train_rows: int
) -> tuple[str, ...]:
    """Read what the LLM answered to a prompt on the training rows, the test rows or all rows.

    Raises:
        DataNotFoundError: A file is missing.
        FileFormatError: A file is malformed.
        ParameterError: The prompt was not asked on these rows.
    """
    start, stop, _ = part_rows(part, n_train_rows).indices(n_rows)
    files = log_files(release, dataset, prompt, kind="answers_list", n_rows=n_rows, n_train_rows=n_train_rows)
    if start < files[0].start:
        raise ParameterError(
            f"prompt {prompt.alias!r} is held out: it was asked on the test rows of {dataset} only, use part='test'"
        )
    answers: list[str] = []
    for file in files:
        if file.start < stop and start < file.stop:
            texts = read_answer_file(file.path, n_rows=file.n_rows)
            answers += texts[max(start - file.start, 0) : stop - file.start]
    return tuple(answers)


def read_answer_file(path: Path | str, *, n_rows: int) -> tuple[str, ...]:
    """Read a file of answers: each the repr of a tuple `(row, text)`, ended by a line of 20 `=`.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: A record is of another form, a row is out of order, or their number is not `n_rows`.
    """
    path = Path(path)
    *records, rest = read_text(path).split(_RECORD_END)
    answers, line = [], 1
    for number, record in enumerate(records):
        answers.append(_parse_answer(path, record, number, line))
        line += record.count("\n") + _RECORD_END.count("\n")
    if rest.strip() or len(records) != n_rows:
        cut = " and one cut off" if rest.strip() else ""
        raise FileFormatError(path, f"{len(records)} answers{cut}, but {n_rows} are expected", row=line)
    return tuple(answers)


def _parse_answer(path: Path, record: str, number: int, line: int) -> str:
    match = _ANSWER.fullmatch(record.strip())
    if match is None:
        raise FileFormatError(path, f"{record[:80]!r} is no tuple (row, text)", row=line)
    if int(match[1]) != number:
        raise FileFormatError(path, f"row {match[1]} stands where row {number} is expected", row=line)
    try:
        text = ast.literal_eval(match[2])
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise FileFormatError(path, f"{record[:80]!r} is no tuple (row, text): {error}", row=line) from error
    if not isinstance(text, str):
        raise FileFormatError(path, f"{record[:80]!r} is no tuple (row, text)", row=line)
    return text
