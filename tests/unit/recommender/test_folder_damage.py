"""Folders that were damaged, made up, or left behind by a process that was killed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError
from prompt_oirl.policies import BestOfN
from prompt_oirl.recommender import Recommender, folder, manifest, placing
from prompt_oirl.reward.joint import JointModel
from prompt_oirl.reward.learners import LightGBMClassifier, XGBoostClassifier
from prompt_oirl.selection import Candidate

NAMES = ["manifest.json", "state.json", "arrays.npz", "demonstrations.parquet"]


@pytest.fixture(scope="module")
def original(choosing: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "recommender"
    choosing.save(path)
    return path


@pytest.fixture(scope="module")
def damaged(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes copies that may be damaged."""
    root = tmp_path_factory.mktemp("damaged")

    def copy() -> Path:
        shutil.rmtree(root / "recommender", ignore_errors=True)
        shutil.copytree(original, root / "recommender")
        return root / "recommender"

    return copy


def read_all(path: Path) -> None:
    _ = Recommender.load(path).demonstrations_


def seal(path: Path, **fields: object) -> None:
    """Change fields of a manifest, and its checksum with them."""
    content = json.loads((path / "manifest.json").read_text(encoding="utf-8")) | fields
    del content["manifest_sha256"]
    content["manifest_sha256"] = manifest._hash_of(content)
    (path / "manifest.json").write_bytes(manifest._rendered(content))


def put(path: Path, name: str, data: bytes) -> None:
    """Put other bytes in place of a file, such that all hashes are right."""
    (path / name).write_bytes(data)
    files = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["files"]
    seal(path, files=files | {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}})


DAMAGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "flipped": lambda data, at, bit: data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :],
    "dropped": lambda data, at, _: data[:at] + data[at + 1 :],
    "doubled": lambda data, at, _: data[:at] + data[at : at + 1] * 2 + data[at + 1 :],
    "cut off": lambda data, at, _: data[:at],
    "longer": lambda data, _, bit: data + bytes([bit]),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(NAMES),
    damage=st.sampled_from(sorted(DAMAGES)),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_every_change_of_a_byte_is_an_error_that_names_the_file(
    damaged: Callable[[], Path], original: Path, name: str, damage: str, place: float, bit: int
) -> None:
    path, data = damaged(), (original / name).read_bytes()
    (path / name).write_bytes(DAMAGES[damage](data, int(place * len(data)), bit))
    with pytest.raises(ArtifactError) as caught:
        read_all(path)
    assert name in str(caught.value) or (name == "manifest.json" and "format version" in str(caught.value))
    assert "train and save again" in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_as_arrays_are_an_error_though_every_hash_is_right(damaged: Callable[[], Path], data: bytes) -> None:
    path = damaged()
    put(path, "arrays.npz", data)
    with pytest.raises(ArtifactError, match=r"arrays\.npz cannot be read by this NumPy .*written with numpy"):
        Recommender.load(path)


def test_an_array_of_a_type_that_numpy_cannot_read_is_an_error_that_names_the_versions(
    damaged: Callable[[], Path],
) -> None:
    path = damaged()
    data = (path / "arrays.npz").read_bytes()
    with np.load(io.BytesIO(data)) as arrays:
        held = dict(arrays)
    for unreadable in ("<q9", "<V", "|O", "float256"):
        made = io.BytesIO()
        np.savez(made, **held)
        changed = made.getvalue().replace(b"'descr': '<f8'", f"'descr': '{unreadable}'".encode().ljust(14)[:14])
        put(path, "arrays.npz", changed)
        with pytest.raises(ArtifactError, match=r"arrays\.npz cannot be read by this NumPy"):
            Recommender.load(path)


def leaves(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in nested JSON."""
    if isinstance(tree, dict):
        return [at, *(path for name, part in tree.items() for path in leaves(part, (*at, name)))]
    if isinstance(tree, list) and len(tree) < 50:
        return [at, *(path for i, part in enumerate(tree) for path in leaves(part, (*at, i)))]
    return [at]


VALUES = st.sampled_from([None, True, -1, 2.5, "x", [], {}, [[1]], {"$type": "Prompt"}, {"$array": "x"}, {"$map": [1]}])


@settings(max_examples=250, deadline=None)
@given(choice=st.randoms(use_true_random=False), value=VALUES)
def test_a_made_up_state_is_an_artifact_error_or_recommends(
    damaged: Callable[[], Path], original: Path, choice: random.Random, value: Any
) -> None:
    tree = json.loads((original / "state.json").read_text(encoding="utf-8"))
    *way, last = choice.choice([path for path in leaves(tree) if path])
    part = tree
    for step in way:
        part = part[step]
    part[last] = value
    path = damaged()
    put(path, "state.json", json.dumps(tree).encode())
    try:
        found = Recommender.load(path)
    except ArtifactError:
        return
    assert found.recommend("How many are left?").prompt in found.prompts_


@pytest.mark.parametrize("content", ["", "[", "3", "null", "[]", "{}", "[" * 100_000, '{"$map": [["settings", 3]]}'])
def test_a_state_that_is_none_is_an_error(damaged: Callable[[], Path], content: str) -> None:
    path = damaged()
    put(path, "state.json", content.encode())
    with pytest.raises(ArtifactError, match="train and save again"):
        Recommender.load(path)


def test_a_part_of_an_unknown_type_names_both_versions(damaged: Callable[[], Path]) -> None:
    path = damaged()
    put(path, "state.json", (path / "state.json").read_bytes().replace(b'"BestOfN"', b'"BestOfTomorrow"'))
    with pytest.raises(ArtifactError, match=r"'BestOfTomorrow', which is not known here.*written with prompt-oirl"):
        Recommender.load(path)


def test_a_later_package_of_a_later_format_is_named_as_the_way_out(damaged: Callable[[], Path]) -> None:
    path = damaged()
    seal(path, format_version=7, versions={"prompt-oirl": "9.8.7"})
    with pytest.raises(ArtifactError, match=r"format version 7.*reads 1 to 3; install prompt-oirl 9\.8\.7, or a later"):
        Recommender.load(path)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_model_that_its_library_cannot_read_is_found_out_when_loading(
    kind: str, train: Demonstrations, tmp_path: Path
) -> None:
    recommender = Recommender([Candidate("joint", JointModel(n_rounds=20, min_leaf=5), (0.0,))]).fit(train)
    assert isinstance(recommender.policy_, BestOfN)
    unreadable = LightGBMClassifier("no trees") if kind == "lightgbm" else XGBoostClassifier(np.zeros(9, np.uint8))
    recommender.policy_.model.classifier_ = unreadable
    recommender.save(tmp_path / "a")
    with pytest.raises(ArtifactError, match=rf"loaded but cannot recommend: .*(?i:{kind})"):
        Recommender.load(tmp_path / "a")


def test_a_folder_of_format_version_2_is_read_and_says_that_its_bound_is_not_corrected(
    damaged: Callable[[], Path], choosing: Recommender, test: Demonstrations
) -> None:
    path = damaged()
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    fitted = next(value for key, value in state["$map"] if key == "fitted")
    fitted["$map"] = [item for item in fitted["$map"] if item[0] != "reliable_rates_"]
    selection = next(value for key, value in fitted["$map"] if key == "selection_")["fields"]
    del selection["critical_value"]
    for contest in (selection["best"], *selection["contests"]["$tuple"]):
        del contest["fields"]["simultaneous_low"]
    put(path, "state.json", json.dumps(state).encode())
    seal(path, format_version=2)
    found = Recommender.load(path)
    assert not found.selection_.is_corrected
    assert found.selection_.pays
    assert found.selection_.best.low == choosing.selection_.best.gain.low
    assert "not corrected" in found.selection_.to_dict()["rests_on"]
    np.testing.assert_array_equal(found.reliable_rates_, choosing.success_rates_)
    texts = [query.text for query in test.queries]
    assert found.recommend_many(texts) == choosing.recommend_many(texts)
    found.save(path, overwrite=True)
    assert not Recommender.load(path).selection_.is_corrected


def test_a_folder_of_format_version_1_is_read(
    damaged: Callable[[], Path], choosing: Recommender, test: Demonstrations
) -> None:
    path = damaged()
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    fitted = next(value for key, value in state["$map"] if key == "fitted")
    fitted["$map"] = [item for item in fitted["$map"] if item[0] != "unseen_prompts_"]
    (path / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (path / "demonstrations.parquet").unlink()
    files = {name: {"sha256": manifest.sha256_of(path / name)} for name in ("state.json", "arrays.npz")}
    (path / "manifest.json").write_text(json.dumps({"format_version": 1, "files": files}), encoding="utf-8")
    found = Recommender.load(path)
    texts = [query.text for query in test.queries]
    assert found.recommend_many(texts) == choosing.recommend_many(texts)
    assert found.demonstrations_ is None
    assert not found.unseen_prompts_.may_win
    assert found.explain(texts[0]).has_logged_queries is False
    found.save(path, overwrite=True)
    assert json.loads((path / "manifest.json").read_text(encoding="utf-8"))["format_version"] == 3
    (path / "state.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"state\.json"):
        Recommender.load(path)


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(
    damaged: Callable[[], Path], cautious: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read_manifest = damaged(), folder.read_manifest

    def replaced_after(path: Path) -> manifest.Manifest:
        found = read_manifest(path)
        monkeypatch.setattr(folder, "read_manifest", read_manifest)
        cautious.save(path, overwrite=True)
        return found

    monkeypatch.setattr(folder, "read_manifest", replaced_after)
    assert Recommender.load(path).training_data_hash_ == cautious.training_data_hash_


SAVER = """
import sys
from pathlib import Path
from prompt_oirl.recommender import Recommender
one, other = map(Recommender.load, sys.argv[1:3])
out = Path(sys.argv[3])
one.save(out / "same")
print("ready", flush=True)
number = 0
while True:
    number += 1
    (other if number % 2 else one).save(out / "same", overwrite=True)
    one.save(out / f"new-{number}")
"""


@pytest.mark.slow
def test_after_a_kill_at_any_moment_a_folder_is_whole_or_not_there(
    original: Path, cautious: Recommender, tmp_path: Path
) -> None:
    cautious.save(tmp_path / "other")
    rng = random.Random(0)
    versions = {Recommender.load(path).training_data_hash_ for path in (original, tmp_path / "other")}
    for number in range(6):
        out = tmp_path / str(number)
        command = [sys.executable, "-c", SAVER, str(original), str(tmp_path / "other"), str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as saver:
            assert saver.stdout is not None
            assert saver.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 0.4))
            saver.kill()
        folders = [path for path in out.iterdir() if not path.name.startswith(".")]
        assert out / "same" in folders
        for path in folders:
            found = Recommender.load(path)
            assert found.training_data_hash_ in versions
            assert found.demonstrations_ is not None


def test_what_a_killed_process_left_is_removed_by_a_later_save(cautious: Recommender, tmp_path: Path) -> None:
    left, fresh = (placing.temporary_beside(tmp_path / "a") for _ in range(2))
    other = tmp_path / ".a.notes"
    for path in (left, fresh, other):
        path.mkdir()
        (path / "state.json").write_text("half")
    long_ago = time.time() - 7200
    for path in (left, other):
        os.utime(path, (long_ago, long_ago))
    cautious.save(tmp_path / "a")
    assert not left.exists()
    assert fresh.exists()
    assert other.exists()


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_another(
    cautious: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(placing, "_exchange", lambda *_: False)
    cautious.save(tmp_path / "a")
    before = Recommender.load(tmp_path / "a").version
    cautious.save(tmp_path / "a", overwrite=True, with_demonstrations=False)
    assert Recommender.load(tmp_path / "a").version != before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_link_to_a_folder_stays_a_link(cautious: Recommender, tmp_path: Path) -> None:
    cautious.save(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    cautious.save(tmp_path / "link", overwrite=True, with_demonstrations=False)
    assert (tmp_path / "link").is_symlink()
    assert not (tmp_path / "a" / "demonstrations.parquet").exists()
