"""The question sets: GSM8K, SVAMP and MAWPS, row by row as the paper used them.

Sources: https://github.com/openai/grade-school-math and https://github.com/arkilpatel/SVAMP.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from prompt_oirl.errors import FileFormatError, ParameterError
from prompt_oirl.records import Query, Question
from prompt_oirl.sources.data_folder import question_folder
from prompt_oirl.sources.text_file import read_text

__all__ = [
    "DATASETS",
    "Dataset",
    "Part",
    "Question",
    "QuestionSet",
    "part_rows",
    "read_fold_questions",
    "read_gsm8k",
    "read_questions",
    "read_svamp_challenge",
]

Dataset = Literal["gsm8k", "mawps", "svamp"]
"""The paper's data sets. `svamp` is `cv_svamp_augmented`, which holds every MAWPS question too."""

Part = Literal["all", "train", "test"]
"""Which of the paper's rows. On MAWPS and SVAMP every test question is also a training question."""

DATASETS: tuple[Dataset, ...] = get_args(Dataset)

_N_TRAIN_ROWS: Mapping[Dataset, int] = {"gsm8k": 7473, "mawps": 6000, "svamp": 15000}
_N_ROWS: Mapping[Dataset, int] = {"gsm8k": 8473, "mawps": 7685, "svamp": 19690}
_FOLD_FOLDERS: Mapping[str, str] = {"mawps": "cv_mawps", "svamp": "cv_svamp_augmented"}
_N_FOLDS = 5
_N_GSM8K_TEST = 1319
_N_CHALLENGE = 1000
_PLACEHOLDER = re.compile(r"number(\d+)")
_GOLD_MARK = "####"


@dataclass(frozen=True)
class QuestionSet:
    """The rows of one data set: training rows first, repeats included.

    Raises:
        ParameterError: There are more training rows than rows.
    """

    dataset: Dataset
    questions: tuple[Question, ...]
    n_train_rows: int
    """How many of the rows, from the first, the paper trains on; the others are its test rows."""

    def __post_init__(self) -> None:
        if not 0 <= self.n_train_rows <= len(self.questions):
            raise ParameterError(f"{self.n_train_rows} training rows of {len(self.questions)} rows")

    def select(self, part: Part) -> tuple[Question, ...]:
        """Return the questions of the training rows, the test rows or all rows."""
        return self.questions[part_rows(part, self.n_train_rows)]


def part_rows(part: Part, n_train_rows: int) -> slice:
    """Return the rows of a part as a slice.

    Raises:
        ParameterError: There is no such part.
    """
    slices = {"all": slice(None), "train": slice(n_train_rows), "test": slice(n_train_rows, None)}
    if part not in slices:
        raise ParameterError(f"part={part!r} is no part of the rows; use one of {', '.join(slices)}")
    return slices[part]


def read_questions(folder: Path | str, dataset: Dataset) -> QuestionSet:
    """Read the rows of a data set as the paper has them.

    GSM8K: the official training set, then the first 1000 of the official test set. MAWPS and SVAMP: `train.csv` of
    folds 0 to 4, one after the other.

    Args:
        folder: A data folder; see `prompt_oirl.sources.data_folder`.
        dataset: Which one.

    Raises:
        DataNotFoundError: A file is missing.
        FileFormatError: A file is malformed or has another number of rows than the paper's.
        ParameterError: There is no such data set.
    """
    if dataset not in DATASETS:
        raise ParameterError(f"{dataset!r} is no data set of the release; use one of {', '.join(DATASETS)}")
    questions = _read_gsm8k_rows(folder) if dataset == "gsm8k" else _read_fold_rows(folder, dataset)
    return QuestionSet(dataset, questions, _N_TRAIN_ROWS[dataset])


def _read_gsm8k_rows(folder: Path | str) -> tuple[Question, ...]:
    data = question_folder(folder, "grade-school-math") / "grade_school_math" / "data"
    n_train = _N_TRAIN_ROWS["gsm8k"]
    train = read_gsm8k(data / "train.jsonl", n_rows=n_train)
    test = read_gsm8k(data / "test.jsonl", n_rows=_N_GSM8K_TEST)
    return train + test[: _N_ROWS["gsm8k"] - n_train]


def _read_fold_rows(folder: Path | str, dataset: Dataset) -> tuple[Question, ...]:
    folds = question_folder(folder, "SVAMP") / "data" / _FOLD_FOLDERS[dataset]
    questions = tuple(
        chain.from_iterable(read_fold_questions(folds / f"fold{i}" / "train.csv") for i in range(_N_FOLDS))
    )
    _check_n_rows(folds, len(questions), _N_ROWS[dataset])
    return questions


def read_gsm8k(path: Path | str, *, n_rows: int | None = None) -> tuple[Question, ...]:
    """Read a GSM8K file: one JSON object a line with `question` and `answer`; the gold follows the last `####`.

    Args:
        path: `train.jsonl` or `test.jsonl`.
        n_rows: How many rows the file must have, if that is known.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: A line is no such object, or the number of rows is another.
    """
    path = Path(path)
    lines = read_text(path).removesuffix("\n").split("\n")
    questions = tuple(_gsm8k_question(path, row, line) for row, line in enumerate(lines, start=1))
    _check_n_rows(path, len(questions), n_rows)
    return questions


def _gsm8k_question(path: Path, row: int, line: str) -> Question:
    fields = _text_fields(path, row, _parse_json(path, line, row=row), ("question", "answer"))
    _, mark, gold = fields["answer"].rpartition(_GOLD_MARK)
    if not mark or not gold.strip():
        raise FileFormatError(path, f"the answer {fields['answer'][-60:]!r} has no gold after {_GOLD_MARK}", row=row)
    return Question(Query(fields["question"]), gold.strip())


def read_fold_questions(path: Path | str) -> tuple[Question, ...]:
    """Read one CSV file of a cross-validation folder of SVAMP: columns `Question`, `Numbers`, `Answer`.

    `number0`, `number1`, … in the question are replaced by the values in `Numbers`, all at once, so that `number1`
    is never taken for the start of `number10`.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: A column is missing, or a row has a gap, a number missing or a gold that is not a number.
    """
    path = Path(path)
    reader = csv.DictReader(StringIO(read_text(path), newline=""))
    try:
        missing = [name for name in ("Question", "Numbers", "Answer") if name not in (reader.fieldnames or ())]
        if missing:
            columns = f"the columns are {', '.join(reader.fieldnames or ()) or 'none'}"
            raise FileFormatError(path, f"no column {missing[0]!r}: {columns}", row=1)
        return tuple(_fold_question(path, reader.line_num, row) for row in reader)
    except csv.Error as error:
        raise FileFormatError(path, f"this is no CSV: {error}", row=reader.line_num + 1) from error


def _fold_question(path: Path, row: int, columns: Mapping[str, str | None]) -> Question:
    fields = _text_fields(path, row, columns, ("Question", "Numbers", "Answer"))
    numbers = fields["Numbers"].split()
    for placeholder in _PLACEHOLDER.finditer(fields["Question"]):
        if int(placeholder[1]) >= len(numbers):
            raise FileFormatError(path, f"{placeholder[0]} has no value: Numbers is {fields['Numbers']!r}", row=row)
    gold = fields["Answer"].strip()
    if not _is_number(gold):
        raise FileFormatError(path, f"the Answer {gold!r} is not a number", row=row)
    return Question(Query(_PLACEHOLDER.sub(lambda match: numbers[int(match[1])], fields["Question"])), gold)


def read_svamp_challenge(path: Path | str) -> tuple[Question, ...]:
    """Read `SVAMP.json`, the 1000 challenge questions: `Body` and `Question` joined by a space, gold from `Answer`.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: It is no list of 1000 such objects.
    """
    path = Path(path)
    entries = _parse_json(path, read_text(path))
    if not isinstance(entries, list):
        raise FileFormatError(path, f"a list of questions is expected, got {type(entries).__name__}")
    _check_n_rows(path, len(entries), _N_CHALLENGE)
    return tuple(_challenge_questions(path, entries))


def _challenge_questions(path: Path, entries: list[object]) -> Iterator[Question]:
    for row, entry in enumerate(entries, start=1):
        fields = _text_fields(path, row, entry, ("Body", "Question"))
        gold = entry.get("Answer") if isinstance(entry, dict) else None
        if isinstance(gold, bool) or not isinstance(gold, int | float):
            raise FileFormatError(path, f"the Answer {gold!r} is not a number", row=row)
        yield Question(Query(f"{fields['Body'].strip()} {fields['Question'].strip()}"), str(gold))


def _parse_json(path: Path, text: str, *, row: int | None = None) -> object:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(path, f"{text[:60]!r} … is no JSON: {error}", row=row) from error
    return parsed


def _text_fields(path: Path, row: int, entry: object, names: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(entry, Mapping):
        raise FileFormatError(path, f"an object with {', '.join(names)} is expected, got {entry!r}", row=row)
    for name in names:
        value = entry.get(name)
        if not isinstance(value, str) or not value.strip():
            raise FileFormatError(path, f"{name} must be a non-empty text, got {value!r}", row=row)
    return {name: entry[name] for name in names}


def _check_n_rows(path: Path, n_rows: int, expected: int | None) -> None:
    if expected is not None and n_rows != expected:
        raise FileFormatError(path, f"{n_rows} questions, but {expected} are expected; is it another version?")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
