"""The commands, on small simulated logs: what they print, what they write, and what they refuse."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.recommender import Recommender
from prompt_oirl.sources.tabular import write_demonstrations
from prompt_oirl.testing import SyntheticWorld


@dataclass(frozen=True)
class Files:
    """Logs of one world, as a user has them."""

    raw: Path
    """Ungraded: answer and gold."""
    train: Path
    test: Path
    """Of other queries than `train`."""
    recommender: Path
    """Fitted on `train`."""
    demonstrations: Demonstrations


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("world")
    world = SyntheticWorld(n_queries=300, interaction=3.0)
    train, test = world.demonstrations.split(test_size=0.3, seed=1)
    found = Files(
        folder / "raw.jsonl",
        folder / "train.parquet",
        folder / "test.jsonl",
        folder / "recommender",
        world.demonstrations,
    )
    world.write_logs(found.raw)
    write_demonstrations(train, found.train)
    write_demonstrations(test, found.test)
    recommender = Recommender().fit(train)
    assert recommender.selection_.pays  # else `recommend` has nothing to show
    recommender.save(found.recommender)
    return found


def found_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_demo_says_what_is_simulated_learnt_and_true(cli, tmp_path: Path) -> None:
    ended = cli("demo", "--out", tmp_path / "demo", "--queries", 300)
    assert ended.code == 0
    assert "simulated" in ended.out.splitlines()[0]
    for step in ("1/6 collect", "2/6 grade", "3/6 export", "4/6 train", "5/6 evaluate", "6/6 recommend"):
        assert step in ended.err
    for part in ("What was learnt", "What it is worth", "95% interval", "The true gain is", "Three recommendations"):
        assert part in ended.out
    assert ended.out.count("→ ") == 3
    assert found_in(tmp_path / "demo") == {
        "queries.jsonl", "prompts.yaml", "run", "run/run.json", "run/store.sqlite", "run/lock", "logs.jsonl",
        "evaluation.json", "recommender", "recommender/manifest.json", "recommender/state.json",
        "recommender/arrays.npz", "recommender/demonstrations.parquet",
    }  # fmt: skip
    assert str(tmp_path / "demo") in ended.out


def test_what_the_demo_says_comes_next_works(cli, tmp_path: Path) -> None:
    shown = cli("demo", "--out", tmp_path / "demo", "--queries", 200).out
    commands = [line.split()[1:] for line in shown.splitlines() if line.startswith("  prompt-oirl ")]
    assert [command[0] for command in commands] == ["inspect", "train", "collect"]
    for command in commands:
        arguments = [str(tmp_path / part) if part.startswith("my-") else part for part in command]
        assert cli(*arguments).code == 0


def test_demo_as_json_again_in_the_same_folder(cli, tmp_path: Path) -> None:
    first = cli("demo", "--out", tmp_path, "--queries", 200, "--seed", 3, "--json")
    assert first.json["simulated"] is True
    assert len(first.json["recommendations"]) == 3
    assert json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8")) == first.json
    second = cli("demo", "--out", tmp_path, "--queries", 200, "--seed", 3, "--json")
    assert second.json == first.json


def test_a_demo_that_is_interrupted_says_how_to_go_on(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_oirl.testing.demo.run_demo", lambda *_, **__: None)
    ended = cli("demo", "--out", tmp_path)
    assert ended.code == 130
    assert "Run the same command to go on" in ended.err


def test_inspect_counts_what_is_there(cli, files: Files) -> None:
    ended = cli("inspect", files.raw, "--grader", "numeric")
    demonstrations = files.demonstrations
    assert ended.code == 0
    assert f"{demonstrations.n_queries} queries × {demonstrations.n_prompts} prompts" in ended.out
    assert f"{demonstrations.trials.sum()} trials with a reward" in ended.out
    assert all(prompt.id in ended.out for prompt in demonstrations.prompts)
    assert "\x1b" not in ended.out


def test_inspect_against_a_second_file_finds_the_overlap(cli, files: Files) -> None:
    apart = cli("inspect", files.train, "--against", files.test, "--json").json["overlap"]
    assert (apart["n_same_text"], apart["n_same_template"]) == (0, 0)
    same = cli("inspect", files.test, "--against", files.test, "--json").json["overlap"]
    assert same["n_same_text"] == same["n_queries"] > 0
    assert f"of {same['n_queries']} queries" in cli("inspect", files.test, "--against", files.test).out


def test_train_saves_a_recommender_that_recommends(cli, files: Files, tmp_path: Path) -> None:
    ended = cli("train", files.train, "--out", tmp_path / "new" / "recommender")
    assert ended.code == 0
    assert ended.err == ""
    assert "Choosing per query pays" in ended.out
    assert "evaluation" not in ended.out
    assert f"prompt-oirl recommend {tmp_path / 'new' / 'recommender'}" in ended.out
    assert cli("recommend", tmp_path / "new" / "recommender", "How many apples?").code == 0


def test_train_with_a_test_part_evaluates_on_it(cli, files: Files, tmp_path: Path) -> None:
    made = cli("train", files.raw, "--grader", "numeric", "--test-size", 0.3, "--out", tmp_path / "r", "--json")
    assert made.err == ""
    evaluation = made.json["evaluation"]
    assert evaluation["gain"]["low"] <= evaluation["gain"]["value"] <= evaluation["gain"]["high"]
    assert evaluation["is_leakage_checked"] is True
    assert made.json["selection"]["confidence"] == Recommender().confidence
    without = cli("train", files.train, "--out", tmp_path / "other", "--json").json
    assert without["evaluation"] is None
    assert without["folder"] == str(tmp_path / "other")


def test_train_replaces_a_recommender_only_if_told(cli, files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "recommender"
    shutil.copytree(files.recommender, folder)
    before = (folder / "manifest.json").read_bytes()
    refused = cli("train", files.test, "--out", folder)
    assert refused.code == 1
    assert "--overwrite" in refused.err
    assert (folder / "manifest.json").read_bytes() == before
    assert cli("train", files.test, "--out", folder, "--overwrite").code == 0
    assert (folder / "manifest.json").read_bytes() != before
    assert found_in(tmp_path) == {"recommender", *(f"recommender/{name}" for name in found_in(files.recommender))}


def test_train_never_replaces_anything_else(cli, files: Files, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    ended = cli("train", files.test, "--out", tmp_path, "--overwrite")
    assert ended.code == 1
    assert found_in(tmp_path) == {"thesis.txt"}


def test_evaluate_prints_gain_interval_and_n(cli, files: Files) -> None:
    ended = cli("evaluate", files.recommender, files.test)
    assert ended.code == 0
    for part in ("Success rate of the best single prompt", "95% interval [", "by bootstrap [", "groups", "trials"):
        assert part in ended.out
    found = cli("evaluate", files.recommender, files.test, "--json").json
    assert found["gain"]["value"] > 0
    assert found["n_dropped_as_seen"] == 0


def test_evaluate_refuses_what_was_trained_on_and_says_the_way_out(cli, files: Files) -> None:
    refused = cli("evaluate", files.recommender, files.raw, "--grader", "numeric")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(f"error: {files.raw}")
    assert "in the training set" in refused.err
    assert "--drop-seen" in refused.err
    allowed = cli("evaluate", files.recommender, files.raw, "--grader", "numeric", "--drop-seen", "--json").json
    assert allowed["n_dropped_as_seen"] > 150
    shown = cli("evaluate", files.recommender, files.raw, "--grader", "numeric", "--drop-seen").out
    assert f"{allowed['n_dropped_as_seen']} of {files.demonstrations.n_queries} queries were in training" in shown


def test_evaluate_on_nothing_but_seen_queries_is_an_error(cli, files: Files) -> None:
    ended = cli("evaluate", files.recommender, files.train, "--drop-seen")
    assert ended.code == 1
    assert "name logs of other queries" in ended.err


def test_recommend_one_and_several(cli, files: Files) -> None:
    prompts = {prompt.id for prompt in files.demonstrations.prompts}
    one = cli("recommend", files.recommender, "[b]How many[/b] :apple: are left?")
    assert one.code == 0
    assert one.out.startswith("[b]How many[/b] :apple: are left?\n→ ")
    assert one.out.splitlines()[1].removeprefix("→ ").split(":")[0] in prompts
    several = cli("recommend", files.recommender, "How many apples?", ":apple: What is 7 × 8?", "--json").json
    assert [found["query"] for found in several] == ["How many apples?", ":apple: What is 7 × 8?"]
    for found in several:
        assert {found["prompt_id"], *(other["prompt_id"] for other in found["runners_up"])} == prompts
        assert found["reason"]


def test_piped_output_is_plain_utf8_of_80_columns(files: Files, tmp_path: Path) -> None:
    """A subprocess: no terminal, and the module's own entry point."""
    code = "from prompt_oirl.cli import main; main()"
    command = [sys.executable, "-c", code, "evaluate", str(files.recommender), str(files.test)]
    ended = subprocess.run(command, capture_output=True, check=True, env={"PYTHONIOENCODING": "utf-8"})
    shown = ended.stdout.decode("utf-8")
    assert "\x1b" not in shown
    tables = shown[shown.index("Where each prompt") :].splitlines()
    assert max(map(len, tables)) <= 80
    assert ended.stderr == b""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


TWO_ROWS = "query,prompt,correct\nHow many?,Be short.,1\nHow much?,Be short.,0\n"
BAD_FILES = {
    "unknown column": ("a.csv", TWO_ROWS.replace("correct", "corect"), "'corect' is not known"),
    "no label": ("a.csv", "query,prompt\nHow many?,Be short.\n", "'correct'"),
    "empty csv": ("a.csv", "", "is empty"),
    "empty jsonl": ("a.jsonl", "", "is empty"),
    "no rows": ("a.csv", "query,prompt,correct\n", "no rows"),
    "odd label": ("a.csv", TWO_ROWS.replace(",0\n", ",2\n"), "row 3: 'correct' is '2'"),
    "empty query": ("a.csv", TWO_ROWS.replace("How much?", ""), "row 3: 'query' is empty"),
    "broken line": ("a.jsonl", '{"query": "How many?", \n', "row 1"),
    "cut parquet": ("a.parquet", "PAR1 and no more", "cannot be read as parquet"),
    "odd suffix": ("a.txt", TWO_ROWS, "a.txt"),
}


@pytest.mark.parametrize("command", ["inspect", "train", "evaluate"])
@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_bad_file_is_one_error_that_names_it(cli, files: Files, tmp_path: Path, bad: str, command: str) -> None:
    name, text, problem = BAD_FILES[bad]
    path = write(tmp_path / name, text)
    arguments = {
        "inspect": ["inspect", path],
        "train": ["train", path, "--out", tmp_path / "out"],
        "evaluate": ["evaluate", files.recommender, path],
    }[command]
    check_refused(cli(*arguments), str(path), problem)
    assert found_in(tmp_path) == {name}


def check_refused(ended, *parts: str) -> None:
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1
    for part in parts:
        assert part in ended.err


def test_a_truncated_parquet_file_is_refused(cli, files: Files, tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    path.write_bytes(files.train.read_bytes()[:-200])
    check_refused(cli("train", path, "--out", tmp_path / "out"), str(path), "cut off")
    assert found_in(tmp_path) == {"cut.parquet"}


def test_one_query_only_is_refused_in_training(cli, files: Files, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    write_demonstrations(files.demonstrations.select_queries(np.array([0])), path)
    check_refused(cli("train", path, "--out", tmp_path / "out"), str(path), "at least 2")
    check_refused(cli("train", path, "--out", tmp_path / "out", "--test-size", "0.5"), "at least two groups")
    assert found_in(tmp_path) == {"one.jsonl"}


def test_a_prompt_without_a_trial_is_refused_in_training(cli, files: Files, tmp_path: Path) -> None:
    entries = [{"id": prompt.id, "template": prompt.template} for prompt in files.demonstrations.prompts]
    prompts = write(tmp_path / "prompts.json", json.dumps([*entries, {"id": "never", "text": "Never tried."}]))
    arguments = ("train", files.train, "--prompts", prompts, "--out", tmp_path / "out")
    check_refused(cli(*arguments), str(files.train), "'never'", "no scored trial")
    assert found_in(tmp_path) == {"prompts.json"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--test-size", "1.5"], "test_size=1.5"),
        (["--test-size", "-0.1"], "test_size=-0.1"),
        (["--confidence", "0.3"], "confidence=0.3"),
        (["--grader", "numerical"], "numerical"),
        (["--grader", "regex:("], "regular expression"),
        (["--prompts", "missing.yaml"], "missing.yaml"),
    ],
)
def test_bad_options_are_refused(cli, files: Files, tmp_path: Path, arguments: list[str], problem: str) -> None:
    check_refused(cli("train", files.test, "--out", tmp_path / "out", *arguments), problem)
    assert found_in(tmp_path) == set()


def test_a_place_that_cannot_be_written_is_refused(cli, files: Files) -> None:
    check_refused(cli("train", files.test, "--out", files.test / "inside"), str(files.test))
    check_refused(cli("demo", "--queries", 200, "--out", files.test / "inside"), str(files.test))


def test_damaged_and_missing_recommenders_are_refused(cli, files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "recommender"
    shutil.copytree(files.recommender, folder)
    write(folder / "state.json", (folder / "state.json").read_text(encoding="utf-8").replace("0", "1", 1))
    check_refused(cli("recommend", folder, "How many?"), "state.json", "sha256")
    (folder / "state.json").unlink()
    check_refused(cli("evaluate", folder, files.test), "state.json", "missing")
    check_refused(cli("recommend", tmp_path / "nowhere", "How many?"), "nowhere", "train")


def test_an_empty_query_is_refused(cli, files: Files) -> None:
    check_refused(cli("recommend", files.recommender, "How many?", " "), "non-empty")


def test_reproduce_without_data_names_the_ways_to_it(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMPT_OIRL_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    ways = ("--data", "PROMPT_OIRL_DATA", "prompt-oirl download")
    check_refused(cli("reproduce", "--out", tmp_path / "out"), "cache", *ways)
    check_refused(cli("reproduce", "--out", tmp_path / "out", "--data", tmp_path / "no"), "no", *ways)
    assert found_in(tmp_path) == set()


def test_reproduce_refuses_an_array_that_is_a_pickle_of_anything_else(cli, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    folder = tmp_path / "data" / "prompt-oirl" / "active_results"
    folder.mkdir(parents=True)
    (tmp_path / "data" / "prompt-oirl" / "llama_exps").mkdir()
    np.save(folder / "ALL_gsm8k_10.npy", np.array({"a": _Evil(str(marks))}, dtype=object), allow_pickle=True)
    ended = cli("reproduce", "--only", "published", "--data", tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert not marks.exists()
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (1, "")
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert "ALL_gsm8k_10.npy" in lines[-1]
    assert not (tmp_path / "out" / "results.jsonl").exists()


class _Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def test_the_evil_array_would_run_code_in_a_plain_unpickler(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(_Evil(str(tmp_path / "marks")))).close()
    assert (tmp_path / "marks").exists()


def test_reproduce_refuses_an_unknown_table(cli, tmp_path: Path) -> None:
    (tmp_path / "llama_exps").mkdir()
    check_refused(cli("reproduce", "--only", "leek", "--data", tmp_path, "--out", tmp_path / "out"), "leek", "leakage")
    assert not (tmp_path / "out").exists()


@pytest.mark.real_logs
def test_reproduce_a_cheap_table_and_find_it_again(cli, data_folder: Path, tmp_path: Path) -> None:
    arguments = ("reproduce", "--only", "leakage", "--fast", "--data", data_folder, "--out", tmp_path)
    first = cli(*arguments)
    assert first.code == 0
    assert "Rows: leakage 6\n3 parts computed, 0 kept" in first.out
    assert "reproducing: 3 of 3 (leakage)" in first.err
    again = cli(*arguments, "--json").json
    assert (again["computed"], again["kept"], again["rows"]) == (0, 3, 6)
    assert again["folder"] == str(tmp_path)


def test_download_without_a_network_names_the_ways_out(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_oirl.sources.download.BASE_URLS", ("http://127.0.0.1:9",))
    monkeypatch.setattr("time.sleep", lambda _: None)
    ended = cli("download", "--out", tmp_path)
    check_refused(ended, "--data", "PROMPT_OIRL_DATA")
    assert found_in(tmp_path) == set()


def test_download_says_where_the_files_are(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(folder: Path | None, *, progress: Callable[[int, int], None]) -> Path:
        progress(2, 2)
        return tmp_path if folder is None else folder

    monkeypatch.setattr("prompt_oirl.sources.download.download", fetch)
    ended = cli("download")
    assert ended.out == f"All files are in {tmp_path} and verified.\n"
    assert ended.err == "downloading: 2 of 2 (verified)\n"
    assert str(tmp_path / "here") in cli("download", "--out", tmp_path / "here").out
