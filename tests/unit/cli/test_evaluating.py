"""Runs as a user names them for `evaluate --off-policy`: their trials, with what each was bought with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.cli.evaluating import LogFiles, off_policy
from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Question
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.outcomes import Completion
from prompt_oirl.runs.run import Run
from prompt_oirl.runs.store import StoredOutcome
from prompt_oirl.selection import Candidate
from prompt_oirl.testing import SyntheticWorld

CONFIGURATION = RunConfiguration("m", "http://127.0.0.1:1/v1")
WORLD = SyntheticWorld(n_queries=120)
N_TRAINED = 60


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "recommender"
    training = WORLD.demonstrations.select_queries(np.arange(N_TRAINED))
    Recommender([Candidate("means", PromptMeans())]).fit(training).save(folder)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of the other queries, each bought with all prompts or none by a coin of .5; a right answer is the gold."""
    rng = np.random.default_rng(0)
    questions = [Question(query, WORLD.golds[query]) for query in WORLD.queries[N_TRAINED:]]
    bought = rng.random(len(questions)) < 0.5
    with Run.create_or_open(tmp_path / "run", CONFIGURATION) as made:
        made.store.register(questions, WORLD.prompts)
        for question, is_bought in zip(questions, bought.tolist(), strict=True):
            for column, prompt in enumerate(WORLD.prompts if is_bought else ()):
                row = WORLD.queries.index(question.query)
                is_right = rng.random() < WORLD.success_probabilities[row, column]
                key = CellKeys(CONFIGURATION).of(prompt.messages(question.query))
                cell = Cell(key, question.query.id, prompt.id, propensity=0.5)
                answer = question.gold if is_right else "-1"
                made.store.save([StoredOutcome(cell, Completion(answer or "", "m"))])
    return tmp_path / "run"


def evaluated(recommender: Path, files: LogFiles, **changed):
    options = {"propensity_of": None, "drop_seen": True, "direct_method_only": False, "clip": 0.0, "seed": 0}
    return off_policy(recommender, files, **(options | changed)).evaluation


def test_trials_of_a_run_are_weighted_by_what_they_were_bought_with(recommender: Path, run: Path) -> None:
    found = evaluated(recommender, LogFiles(run, None, "numeric", ignore_extra_columns=False))
    assert found.propensity_of == "cell"
    assert found.n_without_reward == 0
    assert found.support is not None
    assert (found.support.overlap, found.support.largest_weight) == (1, 1)
    assert found["ips"].value == found["snips"].value == found["dr"].value  # whole queries: all is known


def test_a_folder_or_an_evaluation_is_no_file_of_decisions(recommender: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"name the run that is in it \(.*run\)"):
        evaluated(recommender, LogFiles(run.parent))
    (tmp_path / "found.json").write_text('{"estimates": []}', encoding="utf-8")
    with pytest.raises(DataError, match="name the logs themselves"):
        evaluated(recommender, LogFiles(tmp_path / "found.json"))


def test_a_run_has_its_own_prompts_and_cells(recommender: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="leave --prompts and --propensity-of out"):
        evaluated(recommender, LogFiles(run, tmp_path / "prompts.yaml", "numeric", ignore_extra_columns=False))
    with pytest.raises(ParameterError, match="the propensities of cells"):
        evaluated(recommender, LogFiles(run, None, "numeric", ignore_extra_columns=False), propensity_of="choice")
    with pytest.raises(DataError, match="grade"):
        evaluated(recommender, LogFiles(run, None, None, ignore_extra_columns=False))
