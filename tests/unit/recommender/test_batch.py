from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.recommender import Recommendation, Recommender, ScoredPrompt
from prompt_oirl.recommender.batch import BatchReport, _Lines, recommend_file, recommend_rows
from prompt_oirl.records import Message, Prompt, Query
from prompt_oirl.sources.query_rows import QueryRow


def lines_of(data: bytes | Path) -> list[dict[str, object]]:
    text = data.read_bytes() if isinstance(data, Path) else data
    return [json.loads(line) for line in text.decode().splitlines()]


def written(path: Path, *queries: object) -> Path:
    path.write_text("".join(json.dumps({"query": query}) + "\n" for query in queries), encoding="utf-8")
    return path


def test_each_row_gets_what_recommend_many_gives(choosing: Recommender, test: Demonstrations, tmp_path: Path) -> None:
    texts = [query.text for query in test.queries]
    source = written(tmp_path / "q.jsonl", *texts)
    report = recommend_file(choosing, source, tmp_path / "out.jsonl")
    expected = [{"row": row, **made.to_dict()} for row, made in enumerate(choosing.recommend_many(texts), start=1)]
    assert lines_of(tmp_path / "out.jsonl") == expected
    assert report == BatchReport(len(texts), 0, [])


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=200)
@given(scores=st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1), id=st.text(min_size=1).filter(str.strip))
def test_a_line_is_the_recommendation_as_json(scores: list[tuple[float, bool]], id: str) -> None:
    prompts = [Prompt(f"{id}{i}", "{{query}}\n\"', {}", (Message("system", id),)) for i in range(len(scores))]
    scored = [ScoredPrompt(prompt, *each) for prompt, each in zip(prompts, scores, strict=True)]
    made = Recommendation(Query(f"{id}\u2028"), prompts[0], scores[0][0], tuple(scored[1:]), "so", scores[0][1])
    line = _Lines()
    for number in (1, 2):
        text = line(number, made)
        assert text.count("\n") == 1
        assert json.loads(text) == {"row": number, **made.to_dict()}


def test_streams_are_read_and_written(choosing: Recommender) -> None:
    out = io.BytesIO()
    report = recommend_file(choosing, io.BytesIO(b"How many?\nHow far?\n"), out, form="txt")
    assert [line["query"] for line in lines_of(out.getvalue())] == ["How many?", "How far?"]
    assert report.n_recommended == 2


def test_a_bad_row_ends_it_and_leaves_no_file(choosing: Recommender, tmp_path: Path) -> None:
    source = written(tmp_path / "q.jsonl", "How many?", " ")
    with pytest.raises(FileFormatError, match=r"q\.jsonl, row 2: .*non-empty"):
        recommend_file(choosing, source, tmp_path / "out.jsonl")
    (tmp_path / "former.jsonl").write_text("former")
    with pytest.raises(FileFormatError):
        recommend_file(choosing, source, tmp_path / "former.jsonl")
    assert (tmp_path / "former.jsonl").read_text() == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["former.jsonl", "q.jsonl"]


def test_bad_rows_are_skipped_and_counted_if_told(choosing: Recommender, tmp_path: Path) -> None:
    source = written(tmp_path / "q.jsonl", *[text for _ in range(30) for text in ("", "How many?")])
    report = recommend_file(choosing, source, tmp_path / "out.jsonl", skip_bad=True)
    assert (report.n_recommended, report.n_skipped, len(report.skipped)) == (30, 30, 20)
    assert "row 1:" in report.skipped[0]
    assert [line["row"] for line in lines_of(tmp_path / "out.jsonl")] == list(range(2, 61, 2))
    assert json.loads(json.dumps(report.to_dict()))["n_skipped"] == 30


def test_nothing_but_bad_rows_makes_an_empty_file(choosing: Recommender, tmp_path: Path) -> None:
    report = recommend_file(choosing, written(tmp_path / "q.jsonl", 1), tmp_path / "out.jsonl", skip_bad=True)
    assert (report.n_recommended, report.n_skipped) == (0, 1)
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_the_file_of_queries_is_not_overwritten(choosing: Recommender, tmp_path: Path) -> None:
    source = written(tmp_path / "q.jsonl", "How many?")
    with pytest.raises(ParameterError, match="would be overwritten"):
        recommend_file(choosing, source, tmp_path / "." / "q.jsonl")
    assert lines_of(source) == [{"query": "How many?"}]


def test_what_is_not_there_is_refused(choosing: Recommender, tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError):
        recommend_file(choosing, tmp_path / "nowhere.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(ParameterError, match="'xml'"):
        recommend_file(choosing, written(tmp_path / "q.jsonl", "a"), tmp_path / "out.jsonl", form="xml")
    assert not (tmp_path / "out.jsonl").exists()


def test_more_prompts_are_candidates_too(choosing: Recommender, tmp_path: Path) -> None:
    source = written(tmp_path / "q.jsonl", "How many?")
    new = Prompt.from_text("New.", id="new")
    recommend_file(choosing, source, tmp_path / "out.jsonl", extra_prompts=[new])
    [line] = lines_of(tmp_path / "out.jsonl")
    assert line["runners_up"][-1] == {"prompt_id": "new", "score": None, "is_seen": False}  # type: ignore[index]
    same_id = Prompt(choosing.prompts_[0].id, "{{query}} other")
    with pytest.raises(DataError, match="give it an id of its own"):
        recommend_file(choosing, source, tmp_path / "b.jsonl", extra_prompts=[same_id])


def test_progress_is_told(choosing: Recommender, tmp_path: Path) -> None:
    source = written(tmp_path / "q.jsonl", *["How many?"] * 5000)
    told: list[tuple[int, float | None]] = []
    recommend_file(
        choosing, source, tmp_path / "out", on_progress=lambda report, share: told.append((report.n_recommended, share))
    )
    assert [done for done, _ in told] == [1024, 2048, 3072, 4096, 5000]
    shares = [share for _, share in told if share is not None]
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (5, 1.0)


@pytest.mark.parametrize("n_at_once", [1, 3, 100])
def test_rows_are_taken_some_at_a_time(choosing: Recommender, n_at_once: int) -> None:
    rows = [QueryRow(number, f"How many {number}?") for number in range(1, 11)]
    found = list(recommend_rows(choosing, rows, n_at_once=n_at_once))
    assert max(map(len, found)) == min(n_at_once, 10)
    assert [(number, made.query.text) for several in found for number, made in several] == [
        (row.number, row.query) for row in rows
    ]


def test_memory_does_not_grow_with_the_file(cautious: Recommender) -> None:
    def most_held(n_rows: int) -> int:
        def rows() -> Iterator[QueryRow]:
            rng = np.random.default_rng(0)
            for number in range(n_rows):
                yield QueryRow(number, f"How many {rng.integers(10**9)} are left?")

        tracemalloc.start()
        for _ in recommend_rows(cautious, rows(), n_at_once=200):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert most_held(6000) < 1.3 * most_held(1000)
