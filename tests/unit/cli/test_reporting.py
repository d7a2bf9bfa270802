"""What `prompt-oirl report` does before and after it judges."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'prompt-oirl[report]'")
pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'prompt-oirl[report]'")

from prompt_oirl.cli.files import LogFiles
from prompt_oirl.cli.reporting import make_report
from prompt_oirl.errors import ParameterError, UnequalPropensityWarning

PROMPTS = ("Think.", "Check.")


def written(path: Path, rows: list[dict[str, Any]]) -> LogFiles:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return LogFiles(path)


def decisions(n: int) -> list[dict[str, Any]]:
    """One prompt a query, the first one more often."""
    words = ["".join(chr(97 + int(digit)) for digit in str(i)) for i in range(n)]
    return [
        {
            "query": f"Which of the {word} is it {'again ' * (i % 7)}here?",
            "prompt": PROMPTS[i % 5 == 0],
            "correct": int(i % 3 > 0),
            "propensity": 0.2 if i % 5 == 0 else 0.8,
        }
        for i, word in enumerate(words)
    ]


def test_a_warning_of_biased_rates_is_given_and_kept(tmp_path: Path) -> None:
    files = written(tmp_path / "logs.jsonl", decisions(60))
    with pytest.warns(UnequalPropensityWarning, match="--off-policy") as given:
        made = make_report(files, tmp_path / "report.html", recommender=None, drop_seen=False, seed=0)
    assert len(given) == 1
    assert made.warnings == (str(given[0].message),)
    beside = json.loads(made.beside.read_text(encoding="utf-8"))
    assert beside["findings"]["warnings"] == list(made.warnings) == made.to_dict()["warnings"]
    page = made.page.read_text(encoding="utf-8")
    assert page.count("so they are biased") == 2, "under the verdict, and in what this cannot tell"
    assert made.verdict.kind == "too little data"
    assert made.verdict.evidence.startswith("No query was asked with two prompts")


def test_nothing_is_warned_of_where_propensities_are_equal(tmp_path: Path) -> None:
    files = written(tmp_path / "logs.jsonl", [row | {"propensity": 0.5} for row in decisions(60)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = make_report(files, tmp_path / "report.html", recommender=None, drop_seen=False, seed=0)
    assert made.warnings == ()


@pytest.mark.parametrize("name", ["file/report.html", "report.pdf", "prompts.html"])
def test_what_cannot_be_written_is_refused_before_the_logs_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "prompts.json").write_text("[]")
    with pytest.raises(ParameterError):
        make_report(LogFiles(tmp_path / "none.jsonl"), tmp_path / name, recommender=None, drop_seen=False, seed=0)


def test_labels_of_a_grader_are_audited(tmp_path: Path) -> None:
    rows = [
        {"query": row["query"], "prompt": prompt, "answer": f"It is {1000 + i:,}.", "gold": str(1000 + i % 40)}
        for i, row in enumerate(decisions(60))
        for prompt in PROMPTS
    ]
    files = written(tmp_path / "logs.jsonl", rows)._replace(grader="numeric")
    made = make_report(files, tmp_path / "report.html", recommender=None, drop_seen=False, seed=0)
    audit = json.loads(made.beside.read_text(encoding="utf-8"))["findings"]["label_audit"]
    assert audit["labels_by"] == "numeric"
    assert audit["n_answers"] == 120
    assert audit["n_disagreements"][0] == 0
    assert audit["n_disagreements"][1] > 0
