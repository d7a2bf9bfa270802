from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.errors import DataNotFoundError, ParameterError
from prompt_oirl.grading import get_grader
from prompt_oirl.sources.logged_trials import NOT_LOGGED, UNSCORED
from prompt_oirl.sources.release import Release
from prompt_oirl.sources.release_prompts import HELD_OUT_PROMPTS, TRAINING_PROMPTS
from prompt_oirl.sources.selection_arrays import LLMS, find_cell


@pytest.fixture(scope="module")
def release(mawps_folder: Path) -> Release:
    return Release.find(mawps_folder)


@pytest.fixture(scope="module")
def real(data_folder: Path) -> Release:
    return Release(data_folder)


def expected_label(row: int, prompt: int) -> int:
    return int((row * 7 + prompt * 13) % 5 < 2)


def test_nothing_is_read_before_it_is_asked_for_but_the_folder_is_checked(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError):
        Release(tmp_path)
    (tmp_path / "prompt-oirl").mkdir()
    assert Release(tmp_path).root == tmp_path / "prompt-oirl"


def test_llama_trials_of_every_row_and_prompt(release: Release) -> None:
    trials = release.trials("llama-2-7b-chat", "mawps")
    assert trials.labels.shape == (7685, 16)
    assert (trials.n_train_rows, trials.first_row, trials.n_unscored) == (6000, 0, 0)
    assert (trials.labels[:6000, 6:] == NOT_LOGGED).all()
    assert trials.labels[4321, :6].tolist() == [expected_label(4321, prompt) for prompt in range(6)]
    assert trials.labels[7000].tolist() == [expected_label(7000, prompt) for prompt in range(16)]
    assert trials.prompts[1].template == "{{query}}Answer in the manner of steps: "


def test_llama_demonstrations(release: Release) -> None:
    trials = release.trials("llama-2-7b-chat", "mawps")
    everything = trials.demonstrations()
    assert (everything.n_queries, everything.n_prompts) == (1537, 16)
    assert everything.trials.sum() == trials.n_logged == 6 * 7685 + 10 * 1685
    assert (everything.trials[:, :6] == 5).all()
    train = trials.demonstrations("train", prompts=TRAINING_PROMPTS)
    assert train.trials.sum() == 6 * 6000
    assert trials.demonstrations("test", prompts=HELD_OUT_PROMPTS).trials.sum() == 10 * 1685


def test_recovered_trials_are_the_test_rows(release: Release) -> None:
    trials = release.trials("gpt-3.5-turbo", "mawps")
    assert (trials.labels.shape, trials.n_train_rows, trials.first_row) == ((1685, 6), 0, 6000)
    assert trials.questions == release.questions("mawps").select("test")
    assert trials.labels[100].tolist() == [expected_label(100, prompt) for prompt in range(6)]


def test_failed_logs_are_missing_unless_they_are_asked_for_as_wrong_answers(release: Release) -> None:
    trials = release.trials("tigerbot-13b-chat", "mawps")
    assert (trials.labels[:, [2, 4]] == UNSCORED).all()
    assert trials.n_unscored == 2 * 1685
    demonstrations = trials.demonstrations()
    assert np.isnan(demonstrations.success_rates[[2, 4]]).all()
    assert demonstrations.unscored.sum() == 2 * 1685
    wrong = release.trials("tigerbot-13b-chat", "mawps", count_failed_logs_as_wrong=True)
    assert (wrong.labels[:, [2, 4]] == 0).all()
    assert wrong.n_unscored == 0
    np.testing.assert_array_equal(wrong.labels[:, [0, 1, 3, 5]], trials.labels[:, [0, 1, 3, 5]])


def test_answers_of_a_clone(release: Release) -> None:
    for alias, part, first, count in (
        ("plain", "all", 0, 7685),
        ("plain", "test", 6000, 1685),
        ("extra_0", "test", 6000, 1685),
    ):
        answers = release.answers("mawps", alias, part=part)  # type: ignore[arg-type]
        assert len(answers) == count
        assert answers[7] == f'It\'s row {first + 7}.\n====================\n"So" {first + 7}'


def test_unknown_names_are_parameter_errors(release: Release) -> None:
    with pytest.raises(ParameterError, match="no prompt 'CoT'; it has plain"):
        release.answers("mawps", "CoT")
    with pytest.raises(ParameterError, match="no 'gpt-4'"):
        release.trials("gpt-4", "mawps")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="'aqua'"):
        release.trials("llama-2-7b-chat", "aqua")  # type: ignore[arg-type]


SUCCESS_RATES = {
    "mawps": (0.644, 0.614, 0.544, 0.196, 0.128, 0.461),
    "svamp": (0.633, 0.579, 0.536, 0.230, 0.138, 0.473),
    "gsm8k": (0.247, 0.253, 0.246, 0.065, 0.063, 0.208),
}
N_QUERIES = {"mawps": 1744, "svamp": 3961, "gsm8k": 8473}


@pytest.mark.real_logs
def test_the_llama_logs(real: Release) -> None:
    n_logged = 0
    for dataset, rates in SUCCESS_RATES.items():
        trials = real.trials("llama-2-7b-chat", dataset)  # type: ignore[arg-type]
        demonstrations = trials.demonstrations()
        assert demonstrations.n_queries == N_QUERIES[dataset]
        assert demonstrations.success_rates[:6] == pytest.approx(rates, abs=0.0006)
        assert (trials.n_logged, trials.n_unscored) == (demonstrations.trials.sum(), 0)
        n_logged += trials.n_logged
    assert n_logged == 288_838


@pytest.mark.real_logs
@pytest.mark.parametrize("dataset", list(SUCCESS_RATES))
def test_recovered_llama_labels_are_the_logged_ones(real: Release, dataset) -> None:
    logged = real.trials("llama-2-7b-chat", dataset)
    recovered = real.selection_arrays("llama-2-7b-chat", dataset).test_labels
    np.testing.assert_array_equal(recovered, logged.labels[logged.n_train_rows :, :6])


@pytest.mark.real_logs
@pytest.mark.parametrize("llm", ["gpt-3.5-turbo", "tigerbot-13b-chat"])
@pytest.mark.parametrize("dataset", list(SUCCESS_RATES))
def test_recovered_labels_belong_to_their_questions(real: Release, llm, dataset) -> None:
    """Hard questions are hard for every LLM: the labels go with LLaMA-2's at their own rows and nowhere else."""
    llama = real.trials("llama-2-7b-chat", dataset)
    demonstrations = llama.demonstrations(prompts=TRAINING_PROMPTS)
    ease_of = dict(zip(demonstrations.queries, np.nanmean(demonstrations.rewards, axis=1), strict=True))
    ease = np.array([ease_of[question.query] for question in llama.questions])
    trials = real.trials(llm, dataset)
    scored = np.where(trials.labels == UNSCORED, np.nan, trials.labels)
    rates = np.nanmean(scored, axis=1)

    def agreement(first_row: int) -> float:
        return float(np.corrcoef(rates, ease[first_row : first_row + len(rates)])[0, 1])

    here = agreement(trials.first_row)
    elsewhere = [agreement(row) for row in range(0, len(ease) - len(rates) + 1, 37) if row != trials.first_row]
    assert here > 0.3
    assert here >= max(elsewhere)


@pytest.mark.real_logs
@pytest.mark.parametrize("dataset", ["mawps", "svamp"])
def test_a_question_asked_twice_has_like_labels(real: Release, dataset) -> None:
    trials = real.trials("gpt-3.5-turbo", dataset)
    rows_of: dict[object, list[int]] = {}
    for row, question in enumerate(trials.questions):
        rows_of.setdefault(question.query, []).append(row)
    pairs = np.array([rows[:2] for rows in rows_of.values() if len(rows) > 1])
    shuffled = np.random.default_rng(0).permutation(pairs[:, 1])
    agreement = (trials.labels[pairs[:, 0]] == trials.labels[pairs[:, 1]]).mean()
    assert agreement > (trials.labels[pairs[:, 0]] == trials.labels[shuffled]).mean() + 0.15


@pytest.mark.real_logs
def test_tigerbot_mawps_has_four_failed_prompts_and_no_other_cell_has_any(real: Release) -> None:
    failed = {
        (llm, dataset): real.selection_arrays(llm, dataset).failed_prompts  # type: ignore[arg-type]
        for llm in LLMS
        for dataset in SUCCESS_RATES
    }
    assert {cell: prompts for cell, prompts in failed.items() if prompts} == {
        ("tigerbot-13b-chat", "mawps"): (2, 3, 4, 5)
    }
    assert real.trials("tigerbot-13b-chat", "mawps").n_unscored == 4 * 1685
    assert find_cell("tigerbot-13b-chat", "svamp").n_test == 2000


@pytest.mark.real_logs
def test_recorded_answers_golds_and_labels_are_joined_row_by_row(real: Release) -> None:
    """The published grader gives every one of the published labels, so none of the three is off by a row."""
    golds = [question.gold for question in real.questions("gsm8k").select("test")]
    labels = real.trials("llama-2-7b-chat", "gsm8k").labels[7473:]
    grader = get_grader("published")
    for prompt in real.prompts:
        answers = real.answers("gsm8k", prompt.alias)
        rewards = [grader.grade(answer, gold).reward or 0 for answer, gold in zip(answers, golds, strict=True)]
        np.testing.assert_array_equal(rewards, labels[:, prompt.index])


@pytest.mark.real_logs
def test_critics_and_embeddings_are_those_of_the_release(real: Release) -> None:
    assert real.critics("tigerbot-13b-chat", "svamp").verdicts.shape == (2000, 16)
    assert real.prompt_embeddings().candidates.shape == (100, 1536)


@pytest.mark.real_logs
def test_training_answers(real: Release) -> None:
    assert len(real.answers("gsm8k", "nan", part="train")) == 7473
