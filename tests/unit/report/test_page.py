from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'prompt-oirl[report]'")
pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'prompt-oirl[report]'")

from prompt_oirl.errors import ParameterError
from prompt_oirl.evaluation import PromptWins
from prompt_oirl.report.evidence import Evidence
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.label_audit import audit_labels
from prompt_oirl.report.page import check_target, write_report
from prompt_oirl.report.page_parts import Figure, Section, Table
from prompt_oirl.report.sections import sections_of
from prompt_oirl.report.share_captured import share_captured
from prompt_oirl.report.summary import best_prompt_wording, key_figures
from prompt_oirl.report.texts import prompt_name
from prompt_oirl.sources.logged_answers import LoggedAnswer


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
    situation = make_situation(cost=Missing("there is no bill"))
    text = write_report(situation, tmp_path / "report.html")[0].read_text(encoding="utf-8")
    assert text.count("Not in this report: it was not looked for.") == 2, "with the gain and with the labels"
    assert text.count("Not in this report: there is no bill.") == 1
    assert text.count("Not in this report, for the reason that is given for the gain.") >= 5


def test_a_page_has_the_name_of_one(make_situation: Callable[..., Findings], tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"ends in \.html"):
        write_report(make_situation(), tmp_path / "report.json")


def test_the_share_captured_has_the_ends_of_both_intervals(
    make_situation: Callable[..., Findings], make_estimate: Callable[..., Any], make_headroom: Callable[..., Any]
) -> None:
    gain = make_estimate(0.01, 0.005)
    found = make_situation(gain=gain, headroom=make_headroom("found", by_trials=0.04))
    captured = share_captured(found)
    assert captured is not None
    assert (captured.value, captured.low, captured.high) == pytest.approx((0.01 / 0.05, 0.005 / 0.056, 0.015 / 0.044))
    assert not captured.is_all
    assert [each.name for each in key_figures(found)] == ["One prompt, #2", "Gain per query", "Headroom", "Captured"]
    assert share_captured(make_situation(gain=gain, headroom=make_headroom("not found", by_trials=0.04))) is None
    assert [each.value for each in key_figures(make_situation(headroom=make_headroom()))] == ["≤ 21.0"]


def test_nobody_captures_more_than_there_is(
    make_situation: Callable[..., Findings], make_estimate: Callable[..., Any], make_headroom: Callable[..., Any]
) -> None:
    gain = make_estimate(0.153, 0.03)
    found = make_situation(gain=gain, headroom=make_headroom("found", by_trials=0.13, beyond=0.006))
    captured = share_captured(found)
    assert captured is not None
    assert captured.is_all
    assert captured.high <= 1
    figures = {each.name: each for each in key_figures(found)}
    assert figures["Headroom"].value == "≥ +15.3"
    assert figures["Captured"].value == "all"
    said = text_of(found, "headroom")
    assert "captures all of it that the model expects" in said
    assert "take that for the least that there is" in said


def test_a_wording_is_shown_where_the_id_is_another(make_situation: Callable[..., Findings]) -> None:
    found = make_situation()
    assert best_prompt_wording(found) is None  # there is no prompt of that id
    prompts = (replace(found.inspection.prompts[0], id="2", text=""),)
    bare = replace(found, inspection=replace(found.inspection, prompts=prompts))
    assert best_prompt_wording(bare) == "(the query alone)"
    table = next(item for item in section(bare, "prompts").content if isinstance(item, Figure)).table
    assert table.records()[0]["wording"] == "(the query alone)"


def section(findings: Findings, anchor: str) -> Section:
    return next(each for each in sections_of(findings) if each.anchor == anchor)


def text_of(findings: Findings, anchor: str) -> str:
    """What a section says in sentences and captions."""
    captions = {Figure: lambda item: item.table.caption, Table: lambda item: item.caption, str: str}
    return " ".join(captions[type(item)](item) for item in section(findings, anchor).content)


def test_figures_under_the_verdict_say_where_they_cannot_be_trusted(
    make_situation: Callable[..., Findings], make_estimate: Callable[..., Any], make_headroom: Callable[..., Any]
) -> None:
    few = make_situation(
        gain=make_estimate(0.1, 0.2, 20), headroom=make_headroom(ceiling=make_estimate(0.8, 0.1, 20)), n_groups=20
    )
    marks = [each.detail for each in key_figures(few)[1:]]
    assert all("20 groups of queries, too few to trust" in detail for detail in marks), marks
    giant = make_situation(gain=make_estimate(0.1, 0.2, largest_group_share=0.8))
    assert "80\u00a0% of it is one group" in key_figures(giant)[1].detail
    uncompared = make_situation(gain=make_estimate(0.1, 0.2), evidence=Evidence(1000, 3, 3, 0, None))
    assert key_figures(uncompared) == ()


def test_the_gain_under_the_verdict_is_that_of_the_verdict(
    make_situation: Callable[..., Findings], make_estimate: Callable[..., Any], refusing_selection: Callable[..., Any]
) -> None:
    """Where the rule declines, some draws of the folds may have switched a few queries all the same."""
    used = make_situation(gain=make_estimate(0.001, 0.017), without_rule=make_estimate(0.123, 0.085))
    assert key_figures(used)[0].name == "One prompt, #2"
    assert key_figures(used)[1].value == "+0.1"
    by_fold = replace(used, gain=replace(used.gain, share_of_best_single=0.5))
    assert key_figures(by_fold)[0].name == "One prompt, the best of each fold"
    declined = key_figures(refusing_selection(used))[1]
    assert declined.value == "+12.3"
    assert "not shown to pay, so not used" in declined.detail


def test_warnings_stand_under_the_verdict_and_at_the_end(
    make_situation: Callable[..., Findings], tmp_path: Path
) -> None:
    warning = "<b>x</b>.jsonl: chosen with probabilities from 0.1 to 0.9, so rates are biased"
    found = make_situation(warnings=(warning,))
    page, beside = write_report(found, tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    shown = "&lt;b&gt;x&lt;/b&gt;.jsonl: chosen with probabilities from 0.1 to 0.9, so rates are biased."
    assert text.index('id="verdict"') < text.index(f"{shown}</span>") < text.index('id="gain"')
    assert text.rindex(shown) > text.index('id="limits"')
    assert json.loads(beside.read_text(encoding="utf-8"))["findings"]["warnings"] == [warning]


def test_headroom_says_why_there_is_no_power(
    make_situation: Callable[..., Findings], make_headroom: Callable[..., Any]
) -> None:
    found = make_headroom(power=None, no_power="one group holds most of the queries", largest_group_share=0.8)
    said = text_of(make_situation(headroom=found), "headroom")
    assert "cannot be told: one group holds most of the queries." in said
    assert "Beware: one group is 80\u00a0% of the data" in said
    assert "would have been seen" not in said


def test_smaller_gains_are_not_said_to_stay_unseen(
    make_situation: Callable[..., Findings], make_headroom: Callable[..., Any]
) -> None:
    said = text_of(make_situation(headroom=make_headroom(detectable=0.015)), "headroom")
    assert "a gain of 1.5 points would have been seen four times of five, smaller gains less often" in said


@pytest.mark.parametrize(("repeats", "is_said"), [(1, True), (2, False)])
def test_repeats_are_missed_only_where_there_are_none(
    make_situation: Callable[..., Findings], repeats: int, is_said: bool
) -> None:
    assert ("No query was asked twice" in text_of(make_situation(repeats=repeats), "limits")) is is_said


def test_equal_rewards_and_rates_without_interval_are_said(make_situation: Callable[..., Findings]) -> None:
    found = make_situation(evidence=Evidence(40, 40, 40, 0, 0))
    assert "every single one is 0" in text_of(found, "prompts")
    prompts = tuple(replace(each, success_rate=None) for each in found.inspection.prompts)
    alone = replace(found, inspection=replace(found.inspection, prompts=prompts))
    figure = next(item for item in section(alone, "prompts").content if isinstance(item, Figure))
    rates = [row["success_rate"] for row in figure.table.records()]
    assert rates == [each.successes / each.trials for each in prompts]
    assert "A rate without an interval rests on one group" in figure.table.caption
    assert f">{prompts[0].id}<" in figure.svg


def test_prompts_on_few_queries_are_marked_where_they_win(
    make_situation: Callable[..., Findings], make_estimate: Callable[..., Any]
) -> None:
    estimates = [make_estimate(0.2, 0.1, n) for n in (3, 300)]
    found = make_situation(gain=make_estimate(0.1, 0.05))
    assert not isinstance(found.gain, Missing)
    wins = tuple(PromptWins(f"p{n.n_queries}", n.n_queries, 0.1, n, n, n) for n in estimates)
    marked = replace(found, gain=replace(found.gain, win_map=wins))
    figure = [item for item in section(marked, "prompts").content if isinstance(item, Figure)][1]
    assert [row["has_few_groups"] for row in figure.table.records()] == [True, False]
    assert [row[-1] for row in figure.table.page_rows] == ["†", ""]
    assert "p3 (10 %) †" in figure.svg
    assert "p300 (10 %)<" in figure.svg


def test_a_loss_is_called_one(make_situation: Callable[..., Findings], make_estimate: Callable[..., Any]) -> None:
    loss = make_estimate(-0.023, 0.022)
    said = text_of(make_situation(gain=loss, without_rule=loss), "gain")
    assert "the choice loses 2.3 points" in said
    assert "it would lose 2.3 points" in said


def test_a_slope_is_explained_on_both_sides_of_1(world_findings: Findings) -> None:
    said = text_of(world_findings, "calibration")
    assert "at 1 it says what is there, below 1 too much, above 1 too little" in said
    assert "below 0 it has them the wrong way round" in said


def test_what_differs_or_is_counted_is_explained(world_findings: Findings) -> None:
    assert "they and their intervals are not quite these" in text_of(world_findings, "gain")
    assert re.search(r"[\d,]+ trials of the prompts that are compared", text_of(world_findings, "gain"))
    assert "chance can take one that is near 0 % or 100 % beyond it" in text_of(world_findings, "headroom")


def test_prompts_that_were_hardly_tried_are_named_beside_the_p_value(
    make_situation: Callable[..., Findings], make_headroom: Callable[..., Any]
) -> None:
    found = make_situation(headroom=make_headroom(unrivalled=("new",)))
    assert "Tried on too few queries to be set against such a choice" in text_of(found, "headroom")
    assert "“new”" in text_of(found, "headroom")


def test_labels_of_a_grader_are_called_so(make_situation: Callable[..., Findings]) -> None:
    row = LoggedAnswer("How many?", "a", "The answer is 5,000.", "5000", None, None)
    audit = audit_labels([row], ["a"], labels_by="numeric")
    said = text_of(make_situation(label_audit=audit), "audit")
    assert "1 answers with a gold answer have their label from the grader “numeric”" in said


def test_margins_are_in_points_as_in_the_table(world_findings: Findings) -> None:
    found = world_findings.risk_coverage
    assert not isinstance(found, Missing)
    best = replace(found.points[0], gain_low=0.9, threshold=0.0776)
    shown = replace(world_findings, risk_coverage=replace(found, points=(best, *found.points[1:])))
    assert "Where the margin is 7.8 points or more" in text_of(shown, "risk")


def test_which_prompts_to_keep_is_said_as_the_table_has_it(world_findings: Findings) -> None:
    found = world_findings.portfolio
    assert not isinstance(found, Missing)
    sizes = tuple(
        replace(
            size,
            gain=replace(size.gain, value=0.1, low=0.05, high=0.15),
            share_of_gain=replace(size.gain, value=share, low=share - 0.2, high=share + 0.4),
        )
        for size, share in zip(found.sizes, np.linspace(0, 1, len(found.sizes)), strict=True)
    )
    idle = found.wins[-1].prompt_id
    wins = (*(replace(each, n_queries=5) for each in found.wins[:-1]), replace(found.wins[-1], n_queries=0))
    kept = replace(found, sizes=sizes, wins=wins)
    said = text_of(replace(world_findings, portfolio=kept), "portfolio")
    needed = re.search(r"over the best single prompt needs (.*?)\. ", said)
    assert needed is not None
    assert kept.smallest_by_gain == sizes[-1], "all prompts, also the one that is never chosen"
    assert re.match(rf"\d to {len(sizes)} prompts by the intervals", needed[1]), needed[1]
    named = ", ".join(map(prompt_name, sizes[-1].prompt_ids))
    assert needed[1].endswith(f"by what was measured alone {len(sizes)} prompts: {named}")
    assert f"Of these the choice among all prompts never takes {prompt_name(idle)}." in said


def test_a_prompt_that_is_never_chosen_nor_kept_is_named(world_findings: Findings) -> None:
    found = world_findings.portfolio
    assert not isinstance(found, Missing)
    sizes = tuple(
        replace(size, gain=replace(size.gain, low=-0.1), share_of_value=replace(size.value, value=1.0))
        for size in found.sizes
    )
    idle = next(id for id in sizes[-1].prompt_ids if id not in sizes[0].prompt_ids)
    wins = tuple(replace(each, n_queries=0 if each.prompt_id == idle else 5) for each in found.wins)
    kept = replace(found, sizes=sizes, wins=wins)
    said = text_of(replace(world_findings, portfolio=kept), "portfolio")
    assert f"is kept by one prompt, {prompt_name(sizes[0].prompt_ids[0])}." in said
    assert f"Never chosen: {prompt_name(idle)}." in said
    assert "Of these" not in said


def test_equal_points_are_efficient_together(world_findings: Findings) -> None:
    found = world_findings.cost
    assert not isinstance(found, Missing)
    twin = replace(found.front[0], name="twin", lambda_=None, is_efficient=False)
    both = replace(world_findings, cost=replace(found, points=(*found.points, twin)))
    figure = next(item for item in section(both, "cost").content if isinstance(item, Figure))
    efficient = {row["way"]: row["is_efficient"] for row in figure.table.records()}
    assert efficient["twin"]


def test_a_json_that_is_no_report_is_not_replaced(make_situation: Callable[..., Findings], tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.json"
    prompts.write_text('[{"id": "a", "text": "x"}]')
    with pytest.raises(ParameterError, match=r"prompts\.json would be replaced .* another name"):
        write_report(make_situation(), tmp_path / "prompts.html")
    assert prompts.read_text() == '[{"id": "a", "text": "x"}]'
    for _ in range(2):
        write_report(make_situation(), tmp_path / "report.html")


def test_a_place_that_cannot_be_written_is_found_out_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="cannot be written"):
        check_target(tmp_path / "file" / "report.html")
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(ParameterError, match="is a folder"):
        check_target(tmp_path / "taken.html")
    with pytest.raises(ParameterError, match=r"run\.json beside 'run\.html' would make its folder look like a run"):
        check_target(tmp_path / "run.html")
    check_target(tmp_path / "new" / "report.html")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "taken.html"]
