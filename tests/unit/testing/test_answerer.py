from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.grading import Grade, get_grader
from prompt_oirl.testing.answerer import PROMPTS, success_probabilities, write_answer, write_unparsable_answer
from prompt_oirl.testing.problems import draw_problems

PROBLEMS = draw_problems(400, seed=5)


@pytest.mark.parametrize("is_right", [True, False])
def test_answers_are_graded_as_they_were_meant(is_right: bool) -> None:
    rng, grader = np.random.default_rng(0), get_grader("numeric")
    answers = [
        (write_answer(problem, prompt, is_right=is_right, rng=rng), problem)
        for problem in PROBLEMS
        for prompt in PROMPTS
    ]
    grades = {grader.grade(answer, str(problem.gold)) for answer, problem in answers}
    assert grades == {Grade.CORRECT if is_right else Grade.WRONG}


def test_unparsable_answers_cannot_be_parsed() -> None:
    rng, grader = np.random.default_rng(1), get_grader("numeric")
    answers = {write_unparsable_answer(rng) for _ in range(100)}
    assert len(answers) > 2
    assert {grader.grade(answer, "7") for answer in answers} == {Grade.UNPARSED}


def test_answers_come_in_several_formats() -> None:
    rng = np.random.default_rng(2)
    answers = {write_answer(PROBLEMS[0], PROMPTS[1], is_right=True, rng=rng) for _ in range(200)}
    assert len(answers) >= 6


def test_without_interaction_all_queries_rank_the_prompts_alike() -> None:
    made = success_probabilities(PROBLEMS, interaction=0.0, seed=0)
    logits = np.log(made / (1 - made))
    np.testing.assert_allclose(logits - logits[:, :1], np.broadcast_to(logits[0] - logits[0, 0], logits.shape))
    assert len(set(np.argsort(made, axis=1)[:, -1])) == 1


def test_interaction_moves_the_ranking_and_not_the_averages() -> None:
    without, with_it = (success_probabilities(PROBLEMS, interaction=strength, seed=0) for strength in (0.0, 1.0))
    assert len(set(with_it.argmax(axis=1))) == len(PROMPTS)
    assert np.abs(with_it.mean(axis=0) - without.mean(axis=0)).max() < 0.06
    assert with_it.std(axis=1).mean() > 1.5 * without.std(axis=1).mean()
