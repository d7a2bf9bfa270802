from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading import Grade, get_grader
from prompt_oirl.records import Message
from prompt_oirl.sources.release import Release
from prompt_oirl.testing import ChatRequest, ReplayAnswerer, SimulatedLLM


def asked(text: str) -> ChatRequest:
    return ChatRequest("m", (Message("system", "Be brief."), Message("user", text)))


def test_recorded_answers_are_given_in_turn() -> None:
    answerer = ReplayAnswerer({"one?": ["a"], "two?": ["b", "c"]})
    assert [answerer.answer(asked("one?"), occurrence) for occurrence in range(3)] == ["a", "a", "a"]
    assert [answerer.answer(asked("two?"), occurrence) for occurrence in range(3)] == ["b", "c", "b"]
    assert answerer.answer(asked("three?"), 0) is None


@pytest.mark.parametrize("recorded", [[], "a bare text"])
def test_a_message_without_a_list_of_answers_is_refused(recorded: object) -> None:
    with pytest.raises(DataError, match="'one\\?' has"):
        ReplayAnswerer({"one?": recorded})  # type: ignore[dict-item]


@pytest.mark.real_logs
def test_the_recorded_answers_come_back_with_their_labels(data_folder: Path) -> None:
    release = Release.find(data_folder)
    answerer = ReplayAnswerer.from_release(release)
    assert len(answerer.answers) == 16_000
    trials = release.trials("llama-2-7b-chat", "gsm8k")
    grader = get_grader("published")
    with SimulatedLLM([answerer], model="llama-2-7b-chat") as llm, httpx2.Client() as client:
        for number, row in enumerate(range(7473, 8473, 25)):
            column = number % len(trials.prompts)
            text = trials.prompts[column].render(trials.questions[row].query)
            body = {"model": llm.model, "messages": [{"role": "user", "content": text}]}
            response = client.post(f"{llm.base_url}/chat/completions", json=body).json()
            answer = response["choices"][0]["message"]["content"]
            assert [answer] == answerer.answers[text]
            is_right = grader.grade(answer, trials.questions[row].gold) is Grade.CORRECT
            assert is_right == (trials.labels[row, column] == 1)


@pytest.mark.real_logs
def test_prompts_can_be_selected(data_folder: Path) -> None:
    release = Release.find(data_folder)
    alias = release.prompts[0].alias
    assert len(ReplayAnswerer.from_release(release, aliases=[alias]).answers) == 1000
    with pytest.raises(ParameterError, match="no prompt 'other'"):
        ReplayAnswerer.from_release(release, aliases=["other"])
