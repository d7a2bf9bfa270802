from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from prompt_oirl.collect.critique.critic import Critic, Critiques, critique_calls, critiques_of
from prompt_oirl.collect.critique.evaluation import evaluate_critique
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading import ExactGrader
from prompt_oirl.policies import BestSinglePrompt
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import CellKeys
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.export import demonstrations_of
from prompt_oirl.runs.grading import grade_run
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.store import RunStore, StoredOutcome

MakeRun = Callable[..., RunStore]

QUERY = Query("What is 4 plus 4?")
CRITIC = Critic()
N_QUERIES = 60


def judge(store: RunStore, critic: Critic, reply: Callable[[str], str | Outcome | None]) -> int:
    """Answer the critique calls by a function of the message, None for a call that is not made; return their number."""
    results = []
    for call in critique_calls(store, critic):
        outcome = reply(call.messages[-1].content)
        if isinstance(outcome, str):
            outcome = Completion(outcome, "m", "stop", 100, 10, 0.2)
        if outcome is not None:
            results.append(StoredOutcome(call.cell, outcome))
    store.save(results)
    return len(results)


def critiques(store: RunStore, critic: Critic = CRITIC) -> Critiques:
    return critiques_of(store, demonstrations_of(store, grader=ExactGrader()), critic)


# ------------------------------------------------------------------------------------------ asking


def test_question_and_answer_are_shown_and_a_fixed_form_is_asked_for() -> None:
    (message,) = CRITIC.messages(QUERY, "It is 8.")
    assert message.role == "user"
    for part in (QUERY.text, "It is 8.", "Verdict:", "Probability:"):
        assert part in message.content
    assert "{{" not in message.content


def test_slots_are_filled_once() -> None:
    critic = Critic("Q: {{query}} A: {{answer}}")
    (message,) = critic.messages(Query("What does {{answer}} mean?"), "{{query}} or \\1 or {{answer}}")
    assert message.content == "Q: What does {{answer}} mean? A: {{query}} or \\1 or {{answer}}"


@pytest.mark.parametrize("template", ["", "Is {{answer}} right?", "Is {{query}} easy?"])
def test_a_template_needs_both_slots(template: str) -> None:
    with pytest.raises(DataError, match=r"has no \{\{"):
        Critic(template)


def test_any_answer_can_be_shown() -> None:
    critic = Critic("{{query}} {{answer}}")
    assert critic.messages(QUERY, " \n")[0].content == "What is 4 plus 4? (no text)"
    assert critic.messages(QUERY, "\ud83d")[0].content == "What is 4 plus 4? ?"


def test_critiques_are_sampled_at_temperature_0_and_else_as_the_run() -> None:
    of_run = SamplingParameters(temperature=0.7, top_p=0.9, max_tokens=4, seed=7, stop=("\n",), extra='{"top_k": 20}')
    parameters = CRITIC.parameters(of_run)
    assert (parameters.temperature, parameters.top_p, parameters.stop) == (0.0, None, ())
    assert (parameters.max_tokens, parameters.seed, parameters.extra) == (512, 7, '{"top_k": 20}')
    assert Critic(temperature=None, max_tokens=None).parameters(of_run).temperature is None
    with pytest.raises(ParameterError, match="max_tokens=0"):
        Critic(max_tokens=0)


def test_each_answer_is_one_call_with_its_own_key(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "8", (0, 1, 0): "9", (1, 0, 0): "8", (2, 0, 0): Failure("timeout", "late")})
    calls = list(critique_calls(store, CRITIC))
    answers = [stored.cell for stored in store.outcomes(answered_only=True)]
    assert [call.cell.subject for call in calls] == [cell.key for cell in answers]
    assert [(call.cell.query_id, call.cell.prompt_id) for call in calls] == [(c.query_id, c.prompt_id) for c in answers]
    keys = CellKeys(CRITIC.configuration(store.configuration))
    assert [call.cell.key for call in calls] == [keys.of(call.messages) for call in calls]
    assert {call.cell.purpose for call in calls} == {"critique"}
    assert len({call.cell.key for call in calls}) == 3


def test_equal_answers_to_a_query_are_judged_once(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "8", (0, 1, 0): "8", (0, 0, 1): "8", (1, 0, 0): "8"})
    assert judge(store, CRITIC, lambda _: "Verdict: correct\nProbability: 90%") == 2
    read = critiques(store)
    assert (read.n_answers, read.n_parsed) == (4, 4)
    assert (read.spending.requests, read.spending.tokens) == (2, 220)


def test_other_templates_and_parameters_are_other_calls(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "8"})
    critics = [CRITIC, Critic("{{query}} {{answer}}?"), Critic(temperature=0.5), Critic(max_tokens=9)]
    assert len({call.cell.key for critic in critics for call in critique_calls(store, critic)}) == 4


def test_how_was_asked_is_kept_with_the_run(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "8"})
    assert Critic.noted(store) is None
    critic = Critic("Ist {{answer}} die Lösung von {{query}}?", temperature=None)
    critic.note(store)
    assert Critic.noted(store) == critic


# ------------------------------------------------------------------------------------------ reading


def test_critiques_are_read_in_the_order_of_the_demonstrations(make_run: MakeRun) -> None:
    store = make_run(
        {(0, 0, 0): "8", (0, 1, 0): "7", (1, 0, 0): "10", (1, 1, 0): "1", (2, 0, 0): "12", (2, 1, 0): "no idea"}
    )
    replies = {
        ">\n8\n<": "Verdict: correct\nProbability: 90%",
        ">\n7\n<": "Verdict: incorrect\nProbability: 20%",
        ">\n10\n<": "Verdict: incorrect\nProbability: 95%",
        ">\n1\n<": "I cannot tell.",
        ">\n12\n<": Failure("timeout", "late", attempts=3),
    }
    judge(store, CRITIC, lambda text: next((reply for part, reply in replies.items() if part in text), None))

    read = critiques(store)

    assert read.confidence[:2].tolist() == [[0.9, 0.2], [0.95, pytest.approx(np.nan, nan_ok=True)]]
    assert np.isnan(read.confidence[2]).all()
    assert read.is_complete.tolist() == [True, True, False]
    assert (read.n_answers, read.n_parsed, read.n_unparsed, read.n_failed, read.n_missing) == (6, 3, 1, 1, 1)
    assert read.n_contradictory == 1
    assert (read.spending.requests, read.spending.answered, read.spending.failed) == (7, 4, 1)
    assert read.spending.tokens == 440
    assert json.loads(json.dumps(read.to_dict()))["n_unparsed"] == 1


def test_samples_of_a_cell_are_averaged(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "8", (0, 0, 1): "9", (0, 0, 2): "?"})
    replies = {">\n8\n<": "Probability: 80%", ">\n9\n<": "Probability: 20%", ">\n?\n<": "?"}
    judge(store, CRITIC, lambda text: next(reply for part, reply in replies.items() if part in text))
    assert critiques(store).confidence[0, 0] == pytest.approx(0.5)


def test_critiques_of_another_template_are_passed_over(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "8"})
    judge(store, Critic("{{query}} {{answer}}?"), lambda _: "Probability: 80%")
    read = critiques(store)
    assert (read.n_parsed, read.n_missing, read.spending.requests) == (0, 1, 0)


def test_some_of_the_queries_and_prompts_can_be_read(make_run: MakeRun) -> None:
    store = make_run({(query, prompt, 0): f"{query}{prompt}" for query in range(3) for prompt in range(2)})
    judge(store, CRITIC, lambda text: f"Probability: {text.split('<answer>')[1].split()[0]}%")
    some = demonstrations_of(store, grader=ExactGrader()).select_queries(np.array([2, 0])).select_prompts([1])
    read = critiques_of(store, some, CRITIC)
    assert read.confidence.tolist() == [[0.21], [0.01]]
    assert (read.n_answers, read.spending.requests) == (2, 2)


# ------------------------------------------------------------------------------------------ what it is worth


@pytest.fixture
def run(make_run: MakeRun) -> RunStore:
    """A run where the second of three prompts is best, and each is right where the others are wrong now and then."""
    rng = np.random.default_rng(0)
    words = ("apples", "pears", "plums", "figs", "dates", "limes", "kiwis", "nuts", "beans", "peas")
    questions = tuple(
        Question(Query(f"{name} {word}?"), "yes") for name in ("Ann", "Bob", "Cy", "Di", "Ed", "Flo") for word in words
    )
    prompts = tuple(Prompt.from_text(f"Way {n}.", id=f"{n}") for n in range(3))
    is_right = rng.random((N_QUERIES, 3)) < [0.3, 0.6, 0.4]
    answers = {
        (query, prompt, 0): "yes" if is_right[query, prompt] else f"no {prompt}"
        for query in range(N_QUERIES)
        for prompt in range(3)
    }
    store = make_run(answers, questions=questions, prompts=prompts)
    grade_run(store, ExactGrader(), "exact")
    return store


def test_a_judge_that_knows_the_answers_gains_what_the_oracle_does(run: RunStore) -> None:
    CRITIC.note(run)
    judge(run, CRITIC, lambda text: f"Probability: {90 if 'yes' in text.split('<answer>')[1] else 10}%")
    demonstrations = demonstrations_of(run)
    best = BestSinglePrompt.chosen_on(demonstrations).prompt_id

    evaluation = evaluate_critique(run)

    oracle = demonstrations.rewards.max(axis=1).mean()
    single = demonstrations.rewards[:, demonstrations.prompt_ids.index(best)].mean()
    assert evaluation.value.value == pytest.approx(oracle)
    assert evaluation.baseline_value.value == pytest.approx(single)
    assert evaluation.gain.value == pytest.approx(oracle - single)
    assert evaluation.gain.low > 0
    assert (evaluation.n_incomplete, evaluation.n_without_critique) == (0, 0)
    assert evaluation.critiques.n_answers == 3 * N_QUERIES
    assert evaluation.critiques.spending.requests < evaluation.spending_on_answers.requests == 3 * N_QUERIES
    assert json.loads(json.dumps(evaluation.to_dict()))["critiques"]["spending"]["tokens"] > 0


def test_value_less_baseline_value_is_the_gain(run: RunStore) -> None:
    rng = np.random.default_rng(1)
    judge(run, CRITIC, lambda _: f"Probability: {rng.integers(100)}%" if rng.random() < 0.8 else "Hm.")
    evaluation = evaluate_critique(run, critic=CRITIC)
    assert evaluation.value.value - evaluation.baseline_value.value == pytest.approx(evaluation.gain.value)
    assert evaluation.gain.n_queries == evaluation.value.n_queries == N_QUERIES
    assert evaluation.value.n_trials > 0


def test_where_no_critique_can_be_read_the_best_single_prompt_stands_in(run: RunStore) -> None:
    judge(run, CRITIC, lambda _: "I cannot tell.")
    evaluation = evaluate_critique(run, critic=CRITIC)
    assert evaluation.n_without_critique == N_QUERIES
    assert (evaluation.gain.value, evaluation.gain.low, evaluation.gain.high) == (0, 0, 0)


def test_queries_that_are_not_judged_yet_are_left_out(run: RunStore) -> None:
    judge(run, CRITIC, lambda text: None if "Ann apples" in text else "Probability: 50%")
    evaluation = evaluate_critique(run, critic=CRITIC)
    assert evaluation.n_incomplete == 1
    assert evaluation.gain.n_queries == N_QUERIES - 1


def test_a_prompt_without_a_critique_is_chosen_last(run: RunStore) -> None:
    judge(run, CRITIC, lambda text: "Hm." if "yes" in text.split("<answer>")[1] else "Probability: 1%")
    evaluation = evaluate_critique(run, critic=CRITIC)
    rewards = demonstrations_of(run).rewards
    never_all_right = rewards[(rewards < 1).any(axis=1)]
    all_right = (rewards == 1).all(axis=1).mean()
    assert len(never_all_right)
    assert evaluation.value.value == pytest.approx(all_right)


def test_no_critique_is_an_error_that_says_what_to_run(run: RunStore) -> None:
    with pytest.raises(DataError, match=r"no critiques; run prompt-oirl critique"):
        evaluate_critique(run)
    with pytest.raises(DataError, match=r"180 of 180 answers have not been asked about.*prompt-oirl critique"):
        evaluate_critique(run, critic=CRITIC)


def test_an_ungraded_run_is_an_error(make_run: MakeRun) -> None:
    store = make_run({(0, 0, 0): "8"})
    judge(store, CRITIC, lambda _: "Probability: 50%")
    with pytest.raises(DataError, match="run prompt-oirl grade"):
        evaluate_critique(store, critic=CRITIC)


def test_critics_are_compared_by_what_they_ask() -> None:
    assert Critic() == Critic()
    assert replace(CRITIC, temperature=0.1) != CRITIC
