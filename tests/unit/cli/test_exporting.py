from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_oirl.cli import main
from prompt_oirl.cli.exporting import check_one_source, decision_store_url, print_decision_export
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.export import DecisionExport
from prompt_oirl.serve.decisions.store import DecisionStore

Run = Callable[..., tuple[object, str, str]]

QUERIES = [Query(f"What is {n} plus {n}?") for n in range(4)]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `prompt-oirl export`; returns the exit code and what was printed."""
    monkeypatch.delenv("PROMPT_OIRL_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["prompt-oirl", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def decisions(tmp_path: Path) -> Path:
    """A file with four decisions, of which one query is not logged and one prompt is a fallback."""
    path = tmp_path / "decisions.sqlite"
    with DecisionStore.open(f"sqlite:///{path}") as store:
        store.register("v1", [Prompt.from_text("Think.", id="think")])
        taken = [
            Decision(
                query_id=query.id,
                query=query.text if number else None,
                prompt_id="think",
                score=0.5,
                propensity=1.0,
                choice="fallback" if number == 3 else "recommended",
                source="recommend",
                recommender="v1",
                seconds=0.0,
            )
            for number, query in enumerate(QUERIES)
        ]
        store.save(taken, [Feedback(each.id, 0.5) for each in taken[:2]])
    return path


def test_decisions_are_exported(run: Run, decisions: Path, tmp_path: Path) -> None:
    to = tmp_path / "logs.jsonl"
    code, out, _ = run("--decisions", decisions, "--to", to, "--correct-from", 0.4)
    assert code == 0
    assert f"{to}: 2 trials, 1 with feedback" in out
    assert "Left out: 1 fallbacks, 1 decisions without the text of their query" in out
    queries = tmp_path / "queries.jsonl"
    queries.write_text("".join(json.dumps({"query": each.text, "more": 1}) + "\n" for each in QUERIES))
    code, out, _ = run(
        "--decisions", f"sqlite:///{decisions}", "--to", to, "-q", queries, "--correct-from", 1, "--json"
    )
    assert code == 0
    assert json.loads(out) == {
        "path": str(to),
        "n_rows": 3,
        "n_with_feedback": 2,
        "n_among_some": 0,
        "n_playground": 0,
        "n_fallbacks": 1,
        "n_without_text": 0,
        "n_without_prompt": 0,
    }
    assert [json.loads(line)["correct"] for line in to.read_text().splitlines()] == [0, 0, None]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "neither is named; name a run, or the store of a service with --decisions"),
        (("run", "--decisions", "d.sqlite"), "both run and d.sqlite are named"),
        (("run", "--queries", "q.txt"), "run is a run; leave out --queries, for decisions only"),
        (("--decisions", "d.sqlite", "--grader", "exact", "--ungraded"), "leave out --grader, --ungraded, for a run"),
        (("--decisions", "d.sqlite"), "d.sqlite: there are no decisions in it"),
        (("--decisions", "postgresql://me:hunter2@host/db"), "given with a password, which others can see"),
        (("--decisions", "http://host/db"), "the address of the store starts with http://"),
    ],
)
def test_what_cannot_be_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments, "--to", tmp_path / "logs.jsonl")
    assert code != 0
    assert said in " ".join(err.split())
    assert "hunter2" not in err
    assert list(tmp_path.iterdir()) == []


def test_an_option_of_the_other_source_is_not_passed_over() -> None:
    assert check_one_source(None, "d", of_run={"--grader": None}, of_decisions={"--queries": "q"}) == "d"
    with pytest.raises(ParameterError, match="leave out --correct-from"):
        check_one_source(Path("run"), None, of_run={}, of_decisions={"--correct-from": 0.5})


def test_the_environment_may_have_the_password() -> None:
    with_password = "postgresql://me:hunter2@host/db"
    url = decision_store_url("postgresql://me@host/db", with_password)
    assert url.password == "hunter2"
    assert decision_store_url("postgresql://me@other/db", with_password).password is None
    assert decision_store_url("store.sqlite", with_password).database == "store.sqlite"


def test_choices_among_candidates_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    print_decision_export(DecisionExport(Path("[b]x.jsonl"), 1234, 3, 7, 5, 0, 0, 0))
    out = capsys.readouterr().out
    assert "5 of the playground" in out
    assert "[b]x.jsonl: 1,234 trials" in out
    assert "7 trials chose among named candidates" in out
