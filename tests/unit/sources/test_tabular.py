from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.grading import CallableGrader, get_grader
from prompt_oirl.records import Prompt, Query
from prompt_oirl.sources.tabular import LOG_COLUMNS, read_demonstrations, write_demonstrations

Rows = list[dict[str, object]]
ROWS: Rows = [
    {"query": "2020-01-01", "prompt": "Think.", "correct": 1},
    {"query": "1 + 1?", "prompt": "Think.", "correct": 0},
    {"query": "1 + 1?", "prompt": "{{query}} = ", "correct": None},
    {"query": "2020-01-01", "prompt": "Think.", "correct": 0},
]


def write_jsonl(rows: Rows, path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_csv(rows: Rows, path: Path) -> None:
    def cell(value: object) -> str:
        return "" if value is None else '"' + str(value).replace('"', '""') + '"'

    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(names), *(",".join(cell(row.get(name)) for name in names) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def write_parquet(rows: Rows, path: Path) -> None:
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)


WRITERS: dict[str, Callable[[Rows, Path], None]] = {"jsonl": write_jsonl, "csv": write_csv, "parquet": write_parquet}


@pytest.fixture(params=WRITERS)
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Rows], Path]:
    def write(rows: Rows) -> Path:
        path = tmp_path / f"logs.{request.param}"
        WRITERS[request.param](rows, path)
        return path

    return write


def content(folder: Path, text: str | bytes, suffix: str = "jsonl") -> Path:
    path = folder / f"logs.{suffix}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def row_of(path: Path, index: int) -> int:
    """Where the row of that index is: its line, or counted with the header, or counted from 1."""
    return index + (2 if path.suffix == ".csv" else 1)


def is_equal(one: Demonstrations, other: Demonstrations) -> bool:
    return (
        one.queries == other.queries
        and one.prompts == other.prompts
        and all(
            np.array_equal(getattr(one, name), getattr(other, name)) for name in ("trials", "successes", "unscored")
        )
    )


def test_logged_trials_are_counted_by_query_and_prompt(logs: Callable[[Rows], Path]) -> None:
    demonstrations = read_demonstrations(logs(ROWS))
    assert demonstrations.queries == (Query("2020-01-01"), Query("1 + 1?"))
    assert demonstrations.prompts == (Prompt.from_text("Think."), Prompt.from_text("{{query}} = "))
    assert demonstrations.trials.tolist() == [[2, 0], [1, 0]]
    assert demonstrations.successes.tolist() == [[1, 0], [0, 0]]
    assert demonstrations.unscored.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("values", [(1, 0), (True, False), (1.0, 0.0), ("1", "0"), ("true", "FALSE"), ("1.0", " 0 ")])
@pytest.mark.parametrize("name", ["correct", "reward"])
def test_ways_of_writing_a_label(logs: Callable[[Rows], Path], name: str, values: tuple[object, object]) -> None:
    path = logs([{"query": "a", "prompt": "p", name: value} for value in (*values, None)])
    demonstrations = read_demonstrations(path)
    assert (demonstrations.trials[0, 0], demonstrations.successes[0, 0], demonstrations.unscored[0, 0]) == (2, 1, 1)


def test_labels_of_several_types_in_one_file(tmp_path: Path) -> None:
    lines = [f'{{"query": "a", "prompt": "p", "correct": {label}}}' for label in ("true", "1", '"0"', "null", '""')]
    demonstrations = read_demonstrations(content(tmp_path, "\n".join(lines)))
    assert (demonstrations.trials[0, 0], demonstrations.successes[0, 0], demonstrations.unscored[0, 0]) == (3, 2, 2)


@pytest.mark.parametrize("label", ["2", "yes", "nan", "0.5", "-1"])
def test_a_label_that_is_none_is_an_error_that_names_its_row(logs: Callable[[Rows], Path], label: str) -> None:
    rows: Rows = [{"query": "a", "prompt": "p", "correct": value} for value in ("1", "0", label, label)]
    path = logs(rows)
    with pytest.raises(FileFormatError, match=f"'correct' is '{label}'; it must be 0, 1") as error:
        read_demonstrations(path)
    assert (error.value.path, error.value.row) == (path, row_of(path, 2))


def test_nan_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="'correct' is 'nan'"):
        read_demonstrations(content(tmp_path, '{"query": "a", "prompt": "p", "correct": NaN}'))
    path = tmp_path / "logs.parquet"
    pa.parquet.write_table(pa.table({"query": ["a"], "prompt": ["p"], "correct": [float("nan")]}), path)
    with pytest.raises(FileFormatError, match="row 1: 'correct' is 'nan'"):
        read_demonstrations(path)


def test_answers_are_graded(logs: Callable[[Rows], Path]) -> None:
    rows = [
        {"query": "a", "prompt": "p", "answer": answer, "gold": "18", "correct": 0}
        for answer in ("The answer is 18.", "17", "I cannot say", None, "17")
    ]
    demonstrations = read_demonstrations(logs(rows), grader=get_grader("numeric"))
    assert (demonstrations.trials[0, 0], demonstrations.successes[0, 0], demonstrations.unscored[0, 0]) == (3, 1, 2)


@pytest.mark.parametrize(("gold", "problem"), [(None, "'gold' is empty"), ("five", "'five' has no number")])
def test_a_gold_answer_that_cannot_be_used_is_an_error(
    logs: Callable[[Rows], Path], gold: str | None, problem: str
) -> None:
    path = logs([{"query": "a", "prompt": "p", "answer": "1", "gold": value} for value in ("1", gold)])
    with pytest.raises(FileFormatError, match=problem) as error:
        read_demonstrations(path, grader=get_grader("numeric"))
    assert error.value.row == row_of(path, 1)


def test_a_grader_needs_answers_and_answers_need_a_grader(logs: Callable[[Rows], Path]) -> None:
    with pytest.raises(FileFormatError, match="the column 'answer' is missing"):
        read_demonstrations(logs(ROWS), grader=get_grader("exact"))
    with pytest.raises(FileFormatError, match="there are answers: name a grader"):
        read_demonstrations(logs([{"query": "a", "prompt": "p", "answer": "1", "gold": "1"}]))


def test_an_id_alone_is_the_wording_unless_a_prompt_set_knows_it(logs: Callable[[Rows], Path]) -> None:
    path = logs([{"query": "a", "prompt_id": prompt_id, "correct": 1} for prompt_id in ("steps", "plain")])
    assert read_demonstrations(path).prompts == (
        Prompt.from_text("steps", id="steps"),
        Prompt.from_text("plain", id="plain"),
    )
    known = [Prompt.from_text(text, id=text[0].lower()) for text in ("Unused.", "Plain.", "Steps.")]
    with pytest.raises(FileFormatError, match="'steps' is not in the prompt set, which has u, p, s") as error:
        read_demonstrations(path, prompts=known)
    assert error.value.row == row_of(path, 0)


def test_a_prompt_set_gives_all_its_prompts_in_its_order(logs: Callable[[Rows], Path]) -> None:
    known = [Prompt.from_text(text, id=name) for name, text in (("u", "Unused."), ("p", "Plain."), ("s", "Steps."))]
    by_id: Rows = [{"query": "a", "prompt_id": name, "correct": 1} for name in "sp"]
    by_text: Rows = [{"query": "a", "prompt": text, "correct": 1} for text in ("Steps.", "{{query}}\nPlain.")]
    by_both: Rows = [{"query": "a", "prompt_id": "s", "prompt": "Steps.", "correct": 1}]
    for rows, trials in ((by_id, [0, 1, 1]), (by_text, [0, 1, 1]), (by_both, [0, 0, 1])):
        demonstrations = read_demonstrations(logs(rows), prompts=known)
        assert demonstrations.prompts == tuple(known)
        assert demonstrations.trials.tolist() == [trials]
    with pytest.raises(FileFormatError, match=r"'Other\.' is not in the prompt set"):
        read_demonstrations(logs([{"query": "a", "prompt": "Other.", "correct": 1}]), prompts=known)
    with pytest.raises(FileFormatError, match=r"'s' is 'Other\.' here and 'Steps\.' in the prompt set"):
        read_demonstrations(logs([{"query": "a", "prompt_id": "s", "prompt": "Other.", "correct": 1}]), prompts=known)


def test_numbers_as_prompt_ids(tmp_path: Path) -> None:
    path = content(
        tmp_path, '{"query": "a", "prompt_id": 0, "correct": 1}\n{"query": "a", "prompt_id": 1, "correct": 1}'
    )
    assert read_demonstrations(path).prompt_ids == ("0", "1")


def test_one_id_with_two_texts_is_an_error(logs: Callable[[Rows], Path]) -> None:
    texts = ("Think.", "Plain.", "Think hard.")
    rows: Rows = [
        {"query": "a", "prompt_id": name, "prompt": text, "correct": 1} for name, text in zip("tpt", texts, strict=True)
    ]
    path = logs(rows)
    with pytest.raises(FileFormatError, match=r"'t' stands for 'Think hard\.' here and for 'Think\.' above") as error:
        read_demonstrations(path)
    assert error.value.row == row_of(path, 2)


@pytest.mark.parametrize("name", ["query", "prompt", "prompt_id"])
@pytest.mark.parametrize("value", [None, "   "])
def test_empty_texts_are_errors_that_name_their_row(logs: Callable[[Rows], Path], name: str, value: str | None) -> None:
    row: dict[str, object] = {"query": "a", "prompt": "p", "prompt_id": "i", "correct": 1}
    path = logs([row, row | {name: value}])
    with pytest.raises(FileFormatError, match=f"{name!r} is empty") as error:
        read_demonstrations(path)
    assert error.value.row == row_of(path, 1)


def test_unknown_columns_are_errors_unless_they_are_ignored(logs: Callable[[Rows], Path]) -> None:
    path = logs([row | {"corect": 1} for row in ROWS])
    with pytest.raises(FileFormatError, match="the column 'corect' is not known; there are query, prompt, correct"):
        read_demonstrations(path)
    assert is_equal(read_demonstrations(path, extra_columns="ignore"), read_demonstrations(logs(ROWS)))


def test_nested_extra_columns_can_be_ignored_too(tmp_path: Path) -> None:
    lines = ['{"query": "a", "prompt": "p", "correct": true, "x": [1]}', '{"query": "a", "prompt": "p", "correct": 1}']
    path = content(tmp_path, "\n".join(lines))
    assert read_demonstrations(path, extra_columns="ignore").trials.tolist() == [[2]]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": "p", "correct": "1"}, "the column 'query' is missing; there are prompt, correct"),
        ({"query": "a", "correct": "1"}, "a column 'prompt' .* or 'prompt_id' is needed; there are query, correct"),
        ({"query": "a", "prompt": "p"}, "a column 'correct' .* is needed; there are query, prompt"),
        ({"query": "a", "prompt": "p", "correct": "1", "reward": "1"}, "the columns correct, reward say the same"),
        ({"query": "a", "prompt": "p", "correct": "1", "trials": "1"}, "the columns correct, trials say the same"),
        ({"query": "a", "prompt": "p", "trials": "1"}, "the column 'successes' is missing"),
        ({"query": "a", "prompt": "p", "trials": "1", "successes": "2"}, "2 successes of 1 trials"),
        ({"query": "a", "prompt": "p", "trials": "-1", "successes": "0"}, "'trials' is '-1'; it must be a whole"),
        ({"query": "a", "prompt": "p", "trials": "1.5", "successes": "0"}, r"'trials' is '1\.5'"),
        ({"query": "a", "prompt": "p", "trials": "1", "successes": None}, "the column 'successes' is missing|is empty"),
    ],
)
def test_columns_that_do_not_add_up_are_errors(
    logs: Callable[[Rows], Path], row: dict[str, object], problem: str
) -> None:
    with pytest.raises(FileFormatError, match=problem):
        read_demonstrations(logs([row]))


def test_counts_of_one_cell_in_several_rows_are_added(logs: Callable[[Rows], Path]) -> None:
    row: dict[str, object] = {"query": "a", "prompt": "p", "trials": 3, "successes": 2, "unscored": 1}
    demonstrations = read_demonstrations(logs([row, row]))
    assert (demonstrations.trials[0, 0], demonstrations.successes[0, 0], demonstrations.unscored[0, 0]) == (6, 4, 2)


GOOD = '{"query": "a", "prompt": "p", "correct": 1}'


@pytest.mark.parametrize(
    ("text", "problem", "row"),
    [
        (f'{GOOD}\n{{"query": "b"\n', "is no row", 2),
        (f"{GOOD}\n\n[1]\n", "an object such as", 3),
        (f"{GOOD}\n{GOOD} {GOOD}\n", "Extra data", 2),
        (f'{GOOD}\n{{"query": ["b"], "prompt": "p", "correct": 1}}\n', "'query' holds", 2),
        (f'{GOOD}\n{{"query": "b", "query": "c"}}\n', "a name occurs twice", 2),
        (f'{GOOD}\n{{"query": "b \\ud83d", "prompt": "p", "correct": 1}}\n', "surrogates not allowed", 2),
        (f'{GOOD}\n{GOOD[:-1]}, "answer": {"[" * 100_000}\n', "is no row", 2),
        (f"{GOOD}\n".encode() + b'{"query": "\xff"}\n', r"b'\\xff' is not UTF-8", 2),
        (GOOD.encode("utf-16"), "is not UTF-8", 1),
    ],
)
def test_malformed_lines_are_errors_that_name_their_line(
    tmp_path: Path, text: str | bytes, problem: str, row: int
) -> None:
    with pytest.raises(FileFormatError, match=problem) as error:
        read_demonstrations(content(tmp_path, text))
    assert error.value.row == row


def test_blank_lines_windows_lines_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    text = f"{GOOD}\r\n\r\n{GOOD}".encode("utf-8-sig")
    assert read_demonstrations(content(tmp_path, text)).trials.tolist() == [[2]]
    csv = "query,prompt,correct\r\na,p,1\r\n\r\na,p,0\r\n".encode("utf-8-sig")
    assert read_demonstrations(content(tmp_path, csv, "csv")).trials.tolist() == [[2]]


def test_csv_fields_with_line_ends_quotes_and_words_that_look_like_nulls(tmp_path: Path) -> None:
    text = 'query,prompt,correct\n"a,\n""b""",p,1\nnull,p,0\nNaN,p,\n'
    demonstrations = read_demonstrations(content(tmp_path, text, "csv"))
    assert [query.text for query in demonstrations.queries] == ['a,\n"b"', "null", "NaN"]


@pytest.mark.parametrize(
    ("text", "problem", "row"),
    [
        (b"query,prompt,correct\na,p,1\na,p\n", "Expected 3 columns, got 2", 3),
        (b"query,prompt,correct\na,p,1\n\xff,p,1\n", "invalid UTF8", 3),
        (b"query,prompt,query,correct\na,p,a,1\n", "a column name occurs twice", None),
        (b"query;prompt;correct\na;p;1\n", "the column 'query;prompt;correct' is not known", None),
    ],
)
def test_malformed_csv_is_an_error(tmp_path: Path, text: bytes, problem: str, row: int | None) -> None:
    with pytest.raises(FileFormatError, match=problem) as error:
        read_demonstrations(content(tmp_path, text, "csv"))
    assert error.value.row == row


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_truncated_parquet_file_is_an_error(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "logs.parquet"
    write_parquet(ROWS * 100, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(FileFormatError, match=r"cannot be read as parquet.*write it again"):
        read_demonstrations(path)


def test_a_parquet_file_with_damaged_pages_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "logs.parquet"
    write_parquet(ROWS * 100, path)
    damaged = bytearray(path.read_bytes())
    damaged[4:60] = bytes(56)
    path.write_bytes(damaged)
    with pytest.raises(FileFormatError, match="cannot be read as parquet"):
        read_demonstrations(path)


def test_nested_parquet_columns_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "logs.parquet"
    write_parquet([{"query": ["a"], "prompt": "p", "correct": 1}], path)
    with pytest.raises(FileFormatError, match="'query' holds list"):
        read_demonstrations(path)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_empty_files_are_errors(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileFormatError, match="is empty; one row"):
        read_demonstrations(content(tmp_path, "", suffix))


def test_files_without_rows_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "logs.parquet"
    pa.parquet.write_table(pa.table({"query": pa.array([], pa.string())}), path)
    for empty in (path, content(tmp_path, "\n\n"), content(tmp_path, "query,prompt,correct\n", "csv")):
        with pytest.raises(FileFormatError, match="has no rows"):
            read_demonstrations(empty)


def test_missing_files_and_unknown_suffixes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="is no file"):
        read_demonstrations(tmp_path / "logs.jsonl")
    with pytest.raises(FileFormatError, match=r"the suffix '\.txt' is not known; use \.jsonl, \.csv, \.parquet"):
        read_demonstrations(content(tmp_path, GOOD, "txt"))


def test_prompts_that_hold_the_query_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    names = [f"query {number}" for number in range(10_001)]
    path = tmp_path / "logs.parquet"
    pa.parquet.write_table(pa.table({"query": names, "prompt": names, "correct": [1] * len(names)}), path)
    with pytest.raises(FileFormatError, match=r"10001 distinct queries × 10001 .* write \{\{query\}\} in their place"):
        read_demonstrations(path)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_files_of_several_blocks(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_oirl.sources.blocks._BLOCK_BYTES", 1000)
    monkeypatch.setattr("prompt_oirl.sources.blocks._ARROW_BYTES", 500)
    monkeypatch.setattr("prompt_oirl.sources.blocks._BATCH_ROWS", 10)
    rows: Rows = [
        {"query": f"query {number % 37}", "prompt": f"p{number % 5}", "correct": number % 3 % 2, "answer": None}
        for number in range(500)
    ]
    rows[321]["answer"] = "an answer that is in one block only"
    path = tmp_path / f"logs.{suffix}"
    WRITERS[suffix](rows, path)
    demonstrations = read_demonstrations(path)
    assert [query.text for query in demonstrations.queries] == [f"query {number}" for number in range(37)]
    expected = np.zeros((37, 5), int)
    for number in range(500):
        expected[number % 37, number % 5] += 1
    np.testing.assert_array_equal(demonstrations.trials, expected)
    rows[432]["correct"] = "maybe" if suffix != "parquet" else 7
    WRITERS[suffix](rows, path)
    with pytest.raises(FileFormatError, match="'correct' is") as error:
        read_demonstrations(path)
    assert error.value.row == row_of(path, 432)


texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = texts.filter(lambda text: bool(text.strip()))


@st.composite
def any_demonstrations(draw: st.DrawFn) -> Demonstrations:
    queries = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    ids = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    prompts = [Prompt(name, draw(texts) + "{{query}}" + draw(texts)) for name in ids]
    counts = st.lists(
        st.lists(st.integers(0, 2), min_size=len(ids), max_size=len(ids)), min_size=len(queries), max_size=len(queries)
    )
    successes = np.array(draw(counts))
    trials = successes + np.array(draw(counts)) * draw(st.sampled_from([0, 1, 10**9]))
    return Demonstrations(
        queries=tuple(map(Query, queries)),
        prompts=tuple(prompts),
        trials=trials,
        successes=successes,
        unscored=np.array(draw(counts)),
    )


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@given(demonstrations=any_demonstrations())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, demonstrations: Demonstrations) -> None:
    path = tmp_path_factory.mktemp("round_trip") / f"logs.{suffix}"
    write_demonstrations(demonstrations, path)
    assert is_equal(read_demonstrations(path), demonstrations)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_nothing_is_written_for_nothing_or_to_another_suffix(tmp_path: Path) -> None:
    demonstrations = Demonstrations.from_records([])
    with pytest.raises(DataError, match="0 queries × 0 prompts: there is nothing to write"):
        write_demonstrations(demonstrations, tmp_path / "logs.jsonl")
    with pytest.raises(ParameterError, match=r"not as 'logs\.csv'"):
        write_demonstrations(demonstrations, tmp_path / "logs.csv")
    assert not list(tmp_path.iterdir())


EXPORTED: Rows = [
    {
        "query": "2 + 2?", "prompt_id": "p", "prompt": "{{query}}", "answer": answer, "gold": "4", "correct": correct,
        "sample": sample, "propensity": 0.25, "model": "m-2024-01-01", "finish_reason": reason, "prompt_tokens": 9,
        "completion_tokens": 3, "latency": 0.5, "attempts": 2, "failure": failure, "failure_message": failure,
    }
    for sample, (answer, correct, reason, failure) in enumerate(
        [
            ("It is 4.", 1, "stop", None),
            ("It is 5.", 0, "stop", None),
            ("I cannot say.", None, "length", None),
            (None, None, None, "timeout"),
            ("", None, None, "rate_limit"),
        ]
    )
]  # fmt: skip


def test_the_columns_of_an_export_are_those_that_are_passed_over() -> None:
    assert set(EXPORTED[0]) == {"query", "prompt_id", "prompt", "answer", "gold", "correct", "propensity", *LOG_COLUMNS}


@pytest.mark.parametrize("grader", [None, "numeric", "exact"])
def test_an_export_is_read_as_it_is_and_failures_are_never_wrong_answers(
    logs: Callable[[Rows], Path], grader: str | None
) -> None:
    found = read_demonstrations(logs(EXPORTED), grader=None if grader is None else get_grader(grader))
    expected = {None: (2, 1, 3), "numeric": (2, 1, 3), "exact": (3, 0, 2)}[grader]
    assert (found.trials[0, 0], found.successes[0, 0], found.unscored[0, 0]) == expected


def test_an_empty_answer_has_no_reward_whatever_the_grader_says_of_it(logs: Callable[[Rows], Path]) -> None:
    rows: Rows = [{"query": "a", "prompt": "p", "answer": answer, "gold": "1"} for answer in ("x", "", None)]
    found = read_demonstrations(logs(rows), grader=CallableGrader(lambda answer, gold: False))
    assert (found.trials[0, 0], found.unscored[0, 0]) == (1, 2)


def test_a_misspelt_column_of_an_export_is_an_error(logs: Callable[[Rows], Path]) -> None:
    path = logs([{"corect" if name == "correct" else name: value for name, value in row.items()} for row in EXPORTED])
    with pytest.raises(FileFormatError, match=r"the column 'corect' is not known; .*did you mean 'correct'\?"):
        read_demonstrations(path)
