from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'prompt-oirl[report]'")
pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'prompt-oirl[report]'")

from prompt_oirl.errors import ParameterError
from prompt_oirl.report.findings import Findings
from prompt_oirl.report.page import write_report
from prompt_oirl.report.summary import best_prompt_wording, key_figures, share_captured


def test_page_and_json_are_written_side_by_side(world_findings: Findings, tmp_path: Path) -> None:
    page, beside = write_report(world_findings, tmp_path / "some" / "report.html")
    assert beside == tmp_path / "some" / "report.json"
    said = json.loads(beside.read_text(encoding="utf-8"))
    assert said["verdict"]["action"] in page.read_text(encoding="utf-8")
    assert said["findings"]["source"] == "world.jsonl"
    assert {"gain", "headroom", "prompts", "risk_coverage", "data_size", "portfolio", "cost"} <= set(said["tables"])


def test_the_same_findings_give_the_same_bytes(world_findings: Findings, tmp_path: Path) -> None:
    first, second = (write_report(world_findings, tmp_path / name)[0].read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_the_page_asks_for_nothing(world_findings: Findings, tmp_path: Path) -> None:
    text = write_report(world_findings, tmp_path / "report.html")[0].read_text(encoding="utf-8")
    rest = text.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert "://" not in rest
    assert "@import" not in rest
    assert "default-src 'none'" in text


def test_what_is_missing_is_said(make_situation: Callable[..., Findings], tmp_path: Path) -> None:
    text = write_report(make_situation(), tmp_path / "report.html")[0].read_text(encoding="utf-8")
    assert text.count("Not in this report: it was not looked for.") >= 7


def test_a_page_has_the_name_of_one(make_situation: Callable[..., Findings], tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"ends in \.html"):
        write_report(make_situation(), tmp_path / "report.json")


def test_the_share_captured_has_the_ends_of_both_intervals(
    make_situation: Callable[..., Findings], make_estimate: Callable[..., Any], make_headroom: Callable[..., Any]
) -> None:
    gain = make_estimate(0.01, 0.005)
    found = make_situation(gain=gain, headroom=make_headroom("found", by_trials=0.04))
    assert share_captured(found) == pytest.approx((0.01 / 0.05, 0.005 / 0.056, 0.015 / 0.044))
    assert [each.name for each in key_figures(found)] == ["One prompt, #2", "Gain per query", "Headroom", "Captured"]
    assert share_captured(make_situation(gain=gain, headroom=make_headroom("not found", by_trials=0.04))) is None
    assert [each.value for each in key_figures(make_situation(headroom=make_headroom()))] == ["≤ 21.0"]


def test_a_wording_is_shown_where_the_id_is_another(make_situation: Callable[..., Findings]) -> None:
    assert best_prompt_wording(make_situation()) is None  # there is no prompt of that id
