"""The paper's recorded answers, bought again through the real client and store, have the labels that were published."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_oirl.grading import Grade
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.run import Run
from prompt_oirl.sources.release import Release

N_QUESTIONS, N_PROMPTS = 1000, 16
N_ANSWERS = N_QUESTIONS * N_PROMPTS


@pytest.mark.real_logs
@pytest.mark.slow
def test_all_recorded_answers_have_their_published_labels(
    data_folder: Path, server_process, spawn, tmp_path: Path
) -> None:
    base_url, stop = server_process("--replay", data_folder)
    collecting = spawn(
        *("collect", "--dataset", "gsm8k", "--part", "test", "--data", data_folder, "--out", tmp_path / "run"),
        *("--model", "simulated-llm", "--base-url", base_url, "--concurrency", 64),
    )
    out, err = collecting.communicate(timeout=600)
    assert collecting.returncode == 0, err
    assert f"{N_ANSWERS:,} calls made" in out
    counts = stop()
    assert counts["by_status"] == {"200": N_ANSWERS}
    assert sorted(counts["answered"].values()) == [1] * N_ANSWERS

    grading = spawn("grade", tmp_path / "run", "--grader", "published")
    assert grading.wait(timeout=120) == 0, grading.stderr.read()

    release = Release.find(data_folder)
    published = release.trials("llama-2-7b-chat", "gsm8k")
    row_of = {question.query.id: row for row, question in enumerate(published.questions)}
    column_of = {prompt.id: column for column, prompt in enumerate(published.prompts)}
    recorded = {
        prompt.as_sent("gsm8k").id: dict(
            zip(
                (question.query.id for question in release.questions("gsm8k").select("test")),
                release.answers("gsm8k", prompt.alias),
                strict=True,
            )
        )
        for prompt in release.prompts
    }
    with Run.open(tmp_path / "run") as run:
        grades, outcomes = run.store.grades("published"), list(run.store.outcomes())
    assert len(grades) == len(outcomes) == N_ANSWERS
    for stored in outcomes:
        query, prompt = stored.cell.query_id, stored.cell.prompt_id
        assert isinstance(stored.outcome, Completion)
        assert stored.outcome.text == recorded[prompt][query]
        label = published.labels[row_of[query], column_of[prompt]]
        assert (grades[stored.cell.key] is Grade.CORRECT) == (label == 1), (query, prompt)
        assert label in (0, 1)
