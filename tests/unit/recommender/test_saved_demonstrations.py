"""The training demonstrations in a saved folder, and the version that a recommender is known by."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError, NotFittedError
from prompt_oirl.recommender import Recommender
from prompt_oirl.records import Message, Prompt
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.selection import Candidate


@pytest.fixture
def saved(choosing: Recommender, tmp_path: Path) -> Path:
    choosing.save(tmp_path / "recommender")
    return tmp_path / "recommender"


def test_they_come_back_the_same(saved: Path, train: Demonstrations) -> None:
    found = Recommender.load(saved).demonstrations_
    assert found is not None
    assert found.sha256 == train.sha256
    assert (found.queries, found.prompts) == (train.queries, train.prompts)
    np.testing.assert_array_equal(found.trials, train.trials)


def test_prompts_with_a_context_and_queries_without_a_trial_come_back(train: Demonstrations, tmp_path: Path) -> None:
    context = (Message("system", "About {{query}}"),)
    prompts = (Prompt("ctx", "Now answer.", context), *train.prompts[1:])
    trials = train.trials.copy()
    trials[5] = 0
    odd = replace(train, prompts=prompts, trials=trials, successes=np.minimum(train.successes, trials))
    Recommender([Candidate("means", PromptMeans())]).fit(odd).save(tmp_path / "a")
    found = Recommender.load(tmp_path / "a").demonstrations_
    assert found is not None
    assert found.sha256 == odd.sha256


def test_they_are_left_out_if_told(choosing: Recommender, tmp_path: Path) -> None:
    choosing.save(tmp_path / "a", with_demonstrations=False)
    assert not (tmp_path / "a" / "demonstrations.parquet").exists()
    found = Recommender.load(tmp_path / "a")
    assert found.demonstrations_ is None
    found.save(tmp_path / "again")
    assert Recommender.load(tmp_path / "again").demonstrations_ is None


def test_what_was_loaded_is_saved_with_them_again(saved: Path, train: Demonstrations, tmp_path: Path) -> None:
    Recommender.load(saved).save(tmp_path / "again")
    found = Recommender.load(tmp_path / "again").demonstrations_
    assert found is not None
    assert found.sha256 == train.sha256


def test_loading_imports_no_pyarrow_and_reading_them_does(saved: Path) -> None:
    code = (
        "import sys; from prompt_oirl.recommender import Recommender; r = Recommender.load(sys.argv[1]);"
        "print('pyarrow' in sys.modules); r.demonstrations_; print('pyarrow' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]


def test_they_are_verified_when_they_are_read(saved: Path) -> None:
    path = saved / "demonstrations.parquet"
    found, data = Recommender.load(saved), path.read_bytes()
    path.write_bytes(bytes([*data[:-1], data[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"demonstrations\.parquet has sha256"):
        _ = found.demonstrations_
    path.unlink()
    with pytest.raises(ArtifactError, match=r"demonstrations\.parquet is missing"):
        found.explain("How many?")
    assert found.recommend("How many?")
    path.write_bytes(data)
    assert found.demonstrations_ is not None


def test_before_fit() -> None:
    with pytest.raises(NotFittedError):
        _ = Recommender().demonstrations_
    with pytest.raises(NotFittedError):
        _ = Recommender().version
    with pytest.raises(NotFittedError):
        Recommender().explain("How many?")


def test_the_version_of_what_was_loaded_is_the_manifests(saved: Path) -> None:
    data = (saved / "manifest.json").read_bytes()
    assert Recommender.load(saved).version == hashlib.sha256(data).hexdigest()[:12]


def test_the_version_of_what_was_not_loaded_is_its_states(train: Demonstrations, choosing: Recommender) -> None:
    assert Recommender().fit(train).version == choosing.version
    assert len(choosing.version) == 12
    int(choosing.version, 16)
    changed = Recommender().fit(train.select_queries(np.arange(train.n_queries - 1)))
    assert changed.version != choosing.version
    before = changed.version
    assert changed.fit(train).version == choosing.version != before
