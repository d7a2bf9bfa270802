"""What the commands about runs print: the numbers, and no text of the user's as markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.cli import render_runs
from prompt_oirl.cli.render_runs import (
    collecting_progress,
    print_collected,
    print_critique,
    print_export,
    print_plan,
    print_regrading,
    say_warning,
)
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.critique.critic import Critiques
from prompt_oirl.collect.critique.evaluation import CritiqueEvaluation
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.grid import Grid
from prompt_oirl.collect.plan.plan import Plan
from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import CharacterCounter
from prompt_oirl.collect.progress import Progress
from prompt_oirl.evaluation import Estimate
from prompt_oirl.grading import Grade
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.export import Export
from prompt_oirl.runs.grading import GradeChange, PromptGrades, Regrading
from prompt_oirl.runs.spending import Spending

SPENDING = Spending(requests=1300, answered=1200, failed=7, prompt_tokens=10_000, completion_tokens=2345)
MARKUP = "[red] [/b] :smile: [a-z]+"


def plan(*, temperature: float | None = None, n_samples: int = 1, max_tokens: int | None = None) -> Plan:
    configuration = RunConfiguration(
        "m", "http://localhost/v1", SamplingParameters(temperature=temperature, max_tokens=max_tokens)
    )
    questions = tuple(Question(Query(f"What is {n}?")) for n in range(3))
    return Plan.of(Grid(questions, (Prompt.from_text(MARKUP, id=MARKUP),), n_samples, configuration), {})


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr()
    assert out.err == ""
    return out.out


def test_a_plan_says_what_is_to_come_and_what_that_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    of_run = plan(max_tokens=100)
    estimate = of_run.estimate(CharacterCounter(), spent=Spending(), price=Price(input=1000, output=1000))
    print_plan(of_run, estimate, Budget(max_calls=2000, max_usd=1.5))
    said = printed(capsys)
    assert "3 queries × 1 prompts × 1 samples: 3 cells\n" in said
    assert "Calls to come: 3\n" in said
    assert f"Tokens of the requests  {estimate.prompt_tokens}  (estimated: 4 characters per token)" in said
    assert "Tokens of the answers   300  (at most: max_tokens=100 for each answer)" in said
    assert "USD" in said
    assert "Caps on the whole run: --max-calls 2,000, --max-usd 1.5" in said
    assert "Nothing was asked" in said


def test_a_plan_says_what_it_does_not_know_and_what_looks_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    of_run = plan(temperature=0.0, n_samples=4)
    of_run = Plan.of(of_run.grid, {}, chosen=np.arange(12) < 5)
    print_plan(of_run, of_run.estimate(CharacterCounter(), spent=Spending(), price=None), Budget())
    said = printed(capsys)
    assert "12 cells, of which 5 are wanted so far" in said
    assert "Tokens of the answers   unknown" in said
    assert "Money                   –  (unpriced" in said
    assert "Note: 4 samples at temperature 0 buy the same answer" in said
    assert "Caps" not in said


@pytest.mark.parametrize(
    ("collected", "lines"),
    [
        (Collected("done", None, 0, SPENDING, None, 0), ["All is there: no call was made.\n"]),
        (Collected("done", None, 1207, SPENDING, None, 0), ["Done: 1,207 calls made.\n"]),
        (
            Collected("budget", "max_usd=5: 4.9 spent, the next call may take 0.2", 3, SPENDING, 4.9, 1100),
            ["The budget is reached (max_usd=5: 4.9 spent", "1,100 calls are left", "higher cap", ", 4.9 USD\n"],
        ),
        (Collected("interrupted", None, 3, SPENDING, None, 9), ["Stopped after 3 calls; 9 are left.\n", "to go on"]),
    ],
)
def test_how_a_collection_ended(collected: Collected, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    print_collected(collected, next_step=f"prompt-oirl train {MARKUP}")
    said = printed(capsys)
    for line in lines:
        assert line in said
    assert "The run holds 1,200 answers, 7 failures: 1,300 requests, 12,345 tokens" in said
    assert "7 calls have failed and count as missing; --retry-failed asks them again." in said
    assert f"Next: prompt-oirl train {MARKUP}\n" in said


def test_answers_without_counts_are_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    print_collected(Collected("done", None, 1, Spending(1, 1, uncounted=1), None, 0))
    said = printed(capsys)
    assert "0 tokens (1 answers came without a count)" in said
    assert "failed and" not in said
    assert "Next" not in said


def regrading(*, before: str | None) -> Regrading:
    changes = {Grade.UNPARSED: {Grade.CORRECT: 2, Grade.UNPARSED: 5}, Grade.WRONG: {Grade.CORRECT: 0}}
    return Regrading(
        grader=f"regex:{MARKUP}",
        grader_before=before,
        n_answers=10,
        n_new=1,
        changes=changes,
        examples=(GradeChange(Grade.UNPARSED, Grade.CORRECT, "What?", MARKUP, f"so {MARKUP} it is\n8", MARKUP),) * 3,
        prompts=(PromptGrades(MARKUP, 3, 1, 6, 0.75, None), PromptGrades("other", 0, 0, 0, None, 0.5)),
        n_cut=4,
        n_cut_unparsed=3,
        n_failures=2,
    )


def test_a_regrading_shows_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    print_regrading(regrading(before=MARKUP))
    said = printed(capsys)
    assert f"10 answers graded with regex:{MARKUP}\n" in said
    assert said.count(MARKUP) == 3 + 2 * 3, "title, row, former grader, and in each example prompt, gold and answer"
    assert "75.0 %" in said
    assert "50.0 %" in said
    assert "4 answers were cut at the token limit, 3 of them unparsed" in said
    assert "2 calls have no answer, and no grade" in said
    assert f"Against {MARKUP}: 2 changed, 1 new" in said
    assert f"  {Grade.UNPARSED.value} → {Grade.CORRECT.value}: 2\n" in said
    assert said.count("→") == 1, "what stayed or is nothing has no line"
    assert said.count("it is 8") == 2, "two examples of each kind"


def test_a_first_grading_is_compared_with_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_regrading(regrading(before=None))
    assert "Against" not in printed(capsys)


def test_an_export(capsys: pytest.CaptureFixture[str]) -> None:
    print_export(Export(Path(f"/r/{MARKUP}.jsonl"), 1234, 1200, 5, 6, 34))
    said = printed(capsys)
    assert said == f"/r/{MARKUP}.jsonl: 1,234 trials, 1,200 answers (6 unparsed, 5 ungraded), 34 failures\n"


def test_a_critique(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Estimate(0.5, 0.4, 0.6, level=0.95, n_queries=9, n_groups=8, n_trials=9, n_left_out=0)
    gain = Estimate(0.1234, -0.01, 0.25, level=0.9, n_queries=9, n_groups=8, n_trials=9, n_left_out=0)
    critiques = Critiques(np.zeros((0, 0)), np.zeros(0, dtype=bool), 1300, 1200, 50, 30, 20, 4, SPENDING)
    print_critique(CritiqueEvaluation(estimate, estimate, gain, gain, "query", 0, 0, critiques, SPENDING))
    said = printed(capsys)
    assert "Critiques: 1,200 of 1,300 answers, 50 could not be read, 30 failed, 20 not asked" in said
    assert "most confident answer (LMSC)" in said
    assert "50.0 % [40.0, 60.0]" in said
    assert "Gain  +12.3 points, 90% interval [-1.0, +25.0]" in said
    assert "1,300 requests with 12,345 tokens" in said


def progress(answered: int, left: int, *, usd: float | None = None) -> Progress:
    return Progress(answered, 2, left, 4.0, 1234, usd, None if usd is None else 2 * usd, 16)


def test_without_a_terminal_there_is_a_line_every_ten_seconds_and_a_last_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(render_runs.time, "monotonic", lambda: now)
    with collecting_progress() as show:
        for answered in range(1, 31):
            now = float(answered)
            show(progress(answered, 40 - answered))
        show(progress(38, 0, usd=0.5))
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["12 done", "22 done", "32 done", "40 done"]
    assert lines[0] == "12 done, 30 left, 2 failed, 3.0/s, 1,234 tokens, 16 at once"
    assert lines[-1] == "40 done, 0 left, 2 failed, 10.0/s, 1,234 tokens, 0.5 USD spent, 1 projected, 16 at once"


def test_on_a_terminal_there_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "150")
    with collecting_progress() as show:
        show(progress(8, 30))
    said = capsys.readouterr()
    assert said.out == ""
    assert "10/40" in said.err
    assert "2 failed, 2.5/s, 1,234 tokens, 16 at once" in said.err


def test_a_warning_is_shown_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say_warning("the server lists [red]other[/b] models")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "warning: the server lists [red]other[/b] models\n"
