"""What commands print, without the commands."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from dataclasses import replace

import pytest

from prompt_oirl.cli.render import (
    console,
    error_console,
    interval,
    percent,
    points,
    print_error,
    print_json,
    print_reproduction,
    print_selection,
    progress_bar,
    rate,
    shortened,
    table,
    tolerate_encoding,
    working,
)
from prompt_oirl.evaluation import Estimate
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.selection import Contest, Selection

ESTIMATE = Estimate(0.1234, -0.0004, 0.25, level=0.95, n_queries=9, n_groups=8, n_trials=9, n_left_out=0)


@pytest.mark.parametrize(("value", "text"), [(0.5, "50.0 %"), (1.0, "100.0 %"), (0.0, "0.0 %"), (float("nan"), "–")])
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "+1.2"), (-0.0123, "-1.2"), (0.0, "+0.0"), (-0.0, "+0.0"), (-0.0004, "+0.0")]
)
def test_points_have_a_sign_and_no_negative_zero(value: float, text: str) -> None:
    assert points(value) == text


def a_selection(*, low: float, critical_value: float | None) -> Selection:
    contests = tuple(
        Contest(name, head_start, replace(ESTIMATE, value=0.02, low=0.008 + head_start), simultaneous_low=corrected)
        for name, head_start, corrected in (("kernel", 0.0, low - 0.01), ("kernel", 0.02, low), ("linear", 0.01, -0.03))
    )
    if critical_value is None:
        contests = tuple(replace(contest, simultaneous_low=None) for contest in contests)
    return Selection(contests=contests, best=contests[1], confidence=0.95, critical_value=critical_value)


def test_a_selection_is_printed_with_its_corrected_bound(capsys: pytest.CaptureFixture[str]) -> None:
    print_selection(a_selection(low=0.004, critical_value=2.1))
    shown = capsys.readouterr().out
    assert "kernel" in shown
    assert "+2.0" in shown
    assert "+0.4" in shown
    assert "Lower bound at 95%, corrected for 3 contests" in shown
    assert "Choosing per query pays: kernel is used." in shown
    print_selection(a_selection(low=-0.001, critical_value=2.1))
    assert "No reward model has been shown to beat" in capsys.readouterr().out


def test_a_selection_that_was_saved_before_is_printed_as_not_corrected(capsys: pytest.CaptureFixture[str]) -> None:
    print_selection(a_selection(low=-0.001, critical_value=None))
    shown = capsys.readouterr().out
    assert "Lower bound at 95%, not corrected for the choice among 3 contests" in shown
    assert "+2.8" in shown


def test_a_rate_is_never_without_its_interval() -> None:
    assert rate(replace(ESTIMATE, low=0.05)) == "12.3 % [5.0, 25.0]"
    assert interval(ESTIMATE) == "[+0.0, +25.0]"
    assert rate(None) == "–"


def test_long_texts_are_cut_to_one_line() -> None:
    assert shortened("one\n two") == "one two"
    assert shortened("x" * 200, 10) == "x" * 9 + "…"


def test_json_is_all_there_is_and_holds_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": float("nan"), "b": (1.5, float("inf")), "text": ":smile: [bold]é[/bold]"}
    print_json(value)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"a": None, "b": [1.5, None], "text": ":smile: [bold]é[/bold]"}
    assert printed.err == ""


def test_nothing_of_the_user_is_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(table("Prompts", ("prompt", "rate"), [("[/b] :smile: [red]x", "1 %")]))
    assert "[/b] :smile: [red]x" in capsys.readouterr().out


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("[a] long " + "word " * 40 + "\n    :smile: [/b]")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: [a] long word")
    assert printed.err.rstrip().endswith("word :smile: [/b]")


def test_what_the_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    tolerate_encoding()
    console().print("→ é")
    print_json({"text": "é"})
    sys.stdout.flush()
    text, _, found = raw.getvalue().decode("ascii").partition("\n")
    assert text == "\\u2192 \\xe9"
    assert json.loads(found) == {"text": "é"}


def test_progress_without_a_terminal_is_a_line_each_twentieth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("counting") as advance:
        for done in range(1, 101):
            advance(done, 100, "[b]")
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 20
    assert lines[-1] == "counting: 100 of 100 ([b])"


def test_work_without_a_terminal_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with working("thinking"):
        pass
    assert capsys.readouterr() == ("", "")


def leak_free(k: int, method: str, gain: float | None, dataset: str = "mawps") -> ResultRow:
    return ResultRow(
        table="leak_free", llm="llama-2-7b-chat", dataset=dataset, protocol="by_template", method=method, k=k,
        prompts=",".join(map(str, range(k))), n_queries=1744, value=0.644, gain=gain, low=0.001, high=0.0201,
    )  # fmt: skip


def test_a_reproduction_shows_gains_with_all_prompts_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [leak_free(6, "recommender", 0.0123), leak_free(5, "knn", 0.5), leak_free(6, "random", None)]
    rows += [leak_free(2, "published_recipe", -0.0123, "svamp")]
    print_reproduction(rows)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "recommender" in printed
    assert "+1.2" in printed
    assert "[+0.1, +2.0]" in printed
    assert "published_recipe" in printed
    assert "knn" not in printed
    assert "random" not in printed
    assert printed.endswith("Rows: leak_free 4\n")


def test_thousands_of_rows_are_no_wait(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [leak_free(k, "recommender", 0.01) for k in range(1, 7) for _ in range(5000)]
    print_reproduction([*rows[:-1], leak_free(7, "knn", 0.02)])
    assert capsys.readouterr().out.count("recommender") == 0


ATTACK = "\x1b]0;owned\x1b \x9b31m \x7f é→"
SHOWN = r"\x1b]0;owned\x1b \x9b31m \x7f é→"


def controls(text: str) -> list[str]:
    return [each for each in text.replace("\n", "") if unicodedata.category(each) == "Cc"]


def test_control_characters_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(ATTACK, style="dim", markup=False)
    console().print(table(ATTACK, (ATTACK, "rate"), [(ATTACK, "1 %")]))
    print_error(f"{ATTACK}\x07")
    error_console().print(f"{ATTACK}\tnext\nline", markup=False)
    with progress_bar(ATTACK) as advance:
        advance(1, 1, ATTACK)
    printed = capsys.readouterr()
    assert controls(printed.out + printed.err) == []
    assert printed.out.count(SHOWN) >= 3
    assert printed.err.count(SHOWN) == 4


def test_a_terminal_gets_the_styles_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    console().print("\x1b[31mred", style="bold", markup=False)
    assert sys.stdout.getvalue() == "\x1b[1m\\x1b[31mred\x1b[0m\n"  # type: ignore[attr-defined]


def test_json_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": ATTACK})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": ATTACK}
    assert "é→" in out
    assert controls(out) == []
