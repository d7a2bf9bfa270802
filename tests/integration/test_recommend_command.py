"""`prompt-oirl recommend`: explanations, files of queries, more candidates, and what it refuses."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.unseen_prompts import UnseenPrompts
from prompt_oirl.prompts import write_prompts
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Prompt
from prompt_oirl.sources.tabular import write_demonstrations
from prompt_oirl.testing import SyntheticWorld

MAIN = "from prompt_oirl.cli import main; main()"


@dataclass(frozen=True)
class Files:
    logs: Path
    folder: Path
    recommender: Recommender
    texts: tuple[str, ...]
    """Queries that were not in training."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    root = tmp_path_factory.mktemp("world")
    train, test = SyntheticWorld(n_queries=300, interaction=3.0).demonstrations.split(test_size=0.3, seed=1)
    write_demonstrations(train, root / "train.parquet")
    recommender = Recommender().fit(train)
    recommender.save(root / "recommender")
    return Files(root / "train.parquet", root / "recommender", recommender, tuple(query.text for query in test.queries))


@pytest.fixture
def more(tmp_path: Path) -> Path:
    write_prompts([Prompt.from_text("Quite new.", id="new")], tmp_path / "more.yaml")
    return tmp_path / "more.yaml"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def jsonl(path: Path, texts: tuple[str, ...]) -> Path:
    return write(path, "".join(json.dumps({"query": text, "id": i}) + "\n" for i, text in enumerate(texts)))


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_refused(ended, *parts: str) -> None:
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    for part in parts:
        assert part in ended.err


def test_explain_shows_scores_margin_and_logged_queries(cli, files: Files) -> None:
    ended = cli("recommend", files.folder, files.texts[0], "--explain")
    assert (ended.code, ended.err) == (0, "")
    for prompt in files.recommender.prompts_:
        assert prompt.id in ended.out
    expected = files.recommender.explain(files.texts[0])
    assert f"{expected.margin:.3f} above that of the best single prompt" in ended.out
    assert expected.recommendation.reason in ended.out
    for query in expected.nearest:
        assert " ".join(query.text.split())[:100] in ended.out
    assert len(expected.nearest) == 5


def test_explain_as_json(cli, files: Files) -> None:
    found = cli("recommend", files.folder, *files.texts[:2], "--explain", "--json").json
    assert found == [json.loads(json.dumps(files.recommender.explain(text).to_dict())) for text in files.texts[:2]]


def test_without_logs_explain_says_what_is_missing_and_no_query_is_kept(cli, files: Files, tmp_path: Path) -> None:
    assert cli("train", files.logs, "--out", tmp_path / "r", "--no-logs").code == 0
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["arrays.npz", "manifest.json", "state.json"]
    ended = cli("recommend", tmp_path / "r", files.texts[0], "--explain")
    assert ended.code == 0
    assert "--no-logs" in ended.out
    assert cli("recommend", tmp_path / "r", "a", "--explain", "--json").json[0]["has_logged_queries"] is False


def test_a_file_of_queries(cli, files: Files, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "q.jsonl", files.texts)
    ended = cli("recommend", files.folder, "--in", source, "--out", tmp_path / "new" / "out.jsonl")
    assert (ended.code, ended.err) == (0, "")
    assert f"{len(files.texts)} recommendations in {tmp_path / 'new' / 'out.jsonl'}" in ended.out
    made = files.recommender.recommend_many(files.texts)
    assert lines_of(tmp_path / "new" / "out.jsonl") == [
        {"row": row, **each.to_dict()} for row, each in enumerate(made, start=1)
    ]


def test_every_form_gives_the_same(cli, files: Files, tmp_path: Path) -> None:
    texts = ("How many, all in all?", "How far?")
    jsonl(tmp_path / "q.jsonl", texts)
    write(tmp_path / "q.csv", 'id,query\n1,"How many, all in all?"\n2,How far?\n')
    write(tmp_path / "q.txt", "\n".join(texts))
    found = []
    for name in ("q.jsonl", "q.csv", "q.txt"):
        report = cli("recommend", files.folder, "--in", tmp_path / name, "--out", tmp_path / "out", "--json").json
        assert (report["n_recommended"], report["n_skipped"]) == (2, 0)
        found.append([{**line, "row": None} for line in lines_of(tmp_path / "out")])
    assert found[0] == found[1] == found[2]


def run(*arguments: object, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=environment)


def test_standard_input_and_output(files: Files) -> None:
    ended = run("recommend", files.folder, "--in", "-", "--skip-bad", given='{"query": "Wie viele Äpfel?"}\nx\n')
    assert ended.returncode == 0
    assert [json.loads(line)["query"] for line in ended.stdout.splitlines()] == ["Wie viele Äpfel?"]
    assert "skipped: standard input, row 2: 'x" in ended.stderr
    assert ended.stderr.endswith("1 rows were skipped\n")
    plain = run("recommend", files.folder, "--in", "-", "--format", "txt", given="How many?\n")
    assert json.loads(plain.stdout)["query"] == "How many?"


BAD_FILES = {
    "bad line": ("q.jsonl", '{"query": "a"}\nnonsense\n', "row 2: 'nonsense"),
    "empty query": ("q.csv", 'query\n""\n', "row 2: a query must be a non-empty text"),
    "no column": ("q.csv", "question\na\n", "rename 'question' to 'query'"),
    "empty": ("q.txt", "", "is empty"),
    "odd suffix": ("q.xlsx", "x", "'.xlsx' is not known"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_error_and_nothing_is_written(cli, files: Files, tmp_path: Path, case: str) -> None:
    name, text, problem = BAD_FILES[case]
    source = write(tmp_path / name, text)
    check_refused(cli("recommend", files.folder, "--in", source, "--out", tmp_path / "out"), str(source), problem)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_bad_rows_are_skipped_if_told(cli, files: Files, tmp_path: Path) -> None:
    source = write(tmp_path / "q.jsonl", '{"query": "a"}\nnonsense\n{"query": "b"}\n')
    ended = cli("recommend", files.folder, "--in", source, "--out", tmp_path / "out", "--skip-bad")
    assert ended.code == 0
    assert "1 rows were skipped" in ended.out
    assert f"skipped: {source}, row 2" in ended.err
    assert [line["row"] for line in lines_of(tmp_path / "out")] == [1, 3]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "there is no query"),
        (["a", "--out", "x"], "--out is for a file of queries"),
        (["a", "--skip-bad"], "--skip-bad is for a file"),
        (["a", "--format", "csv"], "--format is for a file"),
        (["a", "--in", "x.txt"], "'a' is a query beside --in"),
        (["--in", "x.txt", "--explain"], "--explain is for queries on the command line"),
        (["--in", "nowhere.txt"], "nowhere.txt is no file"),
        (["--in", "-", "--format", "xml"], "'xml' is not known; use one of jsonl, csv, txt"),
        (["a", "--prompts", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_options_are_refused(cli, files: Files, arguments: list[str], problem: str) -> None:
    check_refused(cli("recommend", files.folder, *arguments), problem)


def test_the_file_of_queries_is_not_overwritten(cli, files: Files, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "q.jsonl", files.texts[:2])
    check_refused(cli("recommend", files.folder, "--in", source, "--out", source), "would be overwritten")
    assert len(lines_of(source)) == 2


def test_prompts_that_were_not_in_training_are_listed_and_cannot_win(
    cli, files: Files, more: Path, tmp_path: Path
) -> None:
    ended = cli("recommend", files.folder, files.texts[0], "--prompts", more)
    assert ended.code == 0
    assert "new – (not in training)" in ended.out
    assert "cannot win" in ended.out
    [found] = cli("recommend", files.folder, files.texts[0], "--prompts", more, "--json").json
    assert found["runners_up"][-1] == {"prompt_id": "new", "score": None, "is_seen": False}
    cli(
        "recommend",
        files.folder,
        "--in",
        jsonl(tmp_path / "q.jsonl", files.texts),
        "--prompts",
        more,
        "--out",
        tmp_path / "o",
    )
    for line, made in zip(lines_of(tmp_path / "o"), files.recommender.recommend_many(files.texts), strict=True):
        assert line["prompt_id"] == made.prompt.id


def test_prompts_of_training_in_the_file_change_nothing(cli, files: Files, tmp_path: Path) -> None:
    write_prompts(files.recommender.prompts_, tmp_path / "same.yaml")
    plain = cli("recommend", files.folder, files.texts[0], "--json").json
    assert cli("recommend", files.folder, files.texts[0], "--prompts", tmp_path / "same.yaml", "--json").json == plain


def test_a_prompt_with_the_id_of_another_is_refused(cli, files: Files, tmp_path: Path) -> None:
    name = files.recommender.prompts_[0].id
    write_prompts([Prompt(name, "{{query}} otherwise")], tmp_path / "clash.yaml")
    check_refused(
        cli("recommend", files.folder, "a", "--prompts", tmp_path / "clash.yaml"), "clash.yaml", name, "id of its own"
    )


def test_evidence_does_not_let_a_prompt_without_a_score_win(cli, files: Files, more: Path, tmp_path: Path) -> None:
    """A made-up folder: evidence that unseen prompts may win, beside a model that cannot score them."""
    loaded = Recommender.load(files.folder)
    loaded.unseen_prompts_ = UnseenPrompts("so", Estimate(0.1, 0.1, 0.1, 0.9, 9, 9, 9, 0), (("a", 0.1),), 0.1)
    loaded.save(tmp_path / "odd")
    [found] = cli("recommend", tmp_path / "odd", files.texts[0], "--prompts", more, "--json").json
    assert found["prompt_id"] == files.recommender.recommend(files.texts[0]).prompt.id
    assert found["runners_up"][-1]["score"] is None


def test_progress_is_shown_on_a_terminal_only(files: Files, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "q.jsonl", files.texts * 30)
    arguments = ["recommend", str(files.folder), "--in", str(source), "--out", str(tmp_path / "out")]
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    command = [sys.executable, "-c", MAIN, *arguments]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            pass
        assert process.wait() == 0
    os.close(ours)
    assert b"recommended, 0 skipped" in shown
    assert run(*arguments).stderr == ""


def test_an_interrupted_command_leaves_no_file(files: Files, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN, "recommend", str(files.folder), "--in", "-", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b'{"query": "How many?"}\n' * 5000)
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.wait(timeout=60) != 0
    assert list(tmp_path.iterdir()) == []
