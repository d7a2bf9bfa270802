from __future__ import annotations

import hashlib
import json
import pickletools
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError, LeakageError, NotFittedError
from prompt_oirl.policies import BestOfN
from prompt_oirl.recommender import Recommender, folder, placing
from prompt_oirl.recommender import manifest as manifests
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.records import Message
from prompt_oirl.reward.baselines import PromptMeans
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.selection import Candidate
from prompt_oirl.splits import query_template

FILES = ["arrays.npz", "demonstrations.parquet", "manifest.json", "state.json"]
NEEDED = ["arrays.npz", "manifest.json", "state.json"]


def names_in(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


def contents(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


def manifest_of(path: Path) -> dict[str, Any]:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


def change_manifest(path: Path, **fields: object) -> None:
    """Change a manifest, and its checksum with it, as somebody who means it could."""
    content = manifest_of(path) | fields
    content.pop("manifest_sha256")
    sealed = content | {"manifest_sha256": manifests._hash_of(content)}
    (path / "manifest.json").write_bytes(manifests._rendered(sealed))


def rehashed(path: Path, name: str, data: bytes) -> None:
    """Change a file, and its hash in the manifest with it."""
    (path / name).write_bytes(data)
    files = manifest_of(path)["files"]
    change_manifest(path, files=files | {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}})


@pytest.fixture(scope="module")
def original(choosing: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "recommender"
    choosing.save(path)
    return path


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    shutil.copytree(original, tmp_path / "recommender")
    return tmp_path / "recommender"


def assert_are_same(found: Recommender, expected: Recommender, test: Demonstrations) -> None:
    texts = [query.text for query in test.queries]
    assert [each.to_dict() for each in found.recommend_many(texts)] == [
        each.to_dict() for each in expected.recommend_many(texts)
    ]
    np.testing.assert_array_equal(found.choose(test.queries, test.prompts), expected.choose(test.queries, test.prompts))
    if isinstance(expected.policy_, BestOfN):
        scores = expected.policy_.model.score(test.queries, test.prompts)
        np.testing.assert_array_equal(found.policy_.model.score(test.queries, test.prompts), scores)
    assert found.selection_ == expected.selection_
    assert found.prompts_ == expected.prompts_
    assert found.best_single_ == expected.best_single_
    assert found.training_data_hash_ == expected.training_data_hash_
    np.testing.assert_array_equal(found.success_rates_, expected.success_rates_)
    settings = ("n_folds", "confidence", "by", "seed")
    assert [getattr(found, name) for name in settings] == [getattr(expected, name) for name in settings]


@pytest.mark.parametrize("name", [candidate.name for candidate in default_candidates()])
def test_each_default_candidate_comes_back_the_same_to_the_bit(
    name: str, train: Demonstrations, test: Demonstrations, tmp_path: Path
) -> None:
    candidates = [candidate for candidate in default_candidates(3) if candidate.name == name]
    recommender = Recommender(candidates, n_folds=4, confidence=0.75, seed=3).fit(train)
    assert isinstance(recommender.policy_, BestOfN)
    recommender.save(tmp_path / "a")
    assert_are_same(Recommender.load(tmp_path / "a"), recommender, test)


def test_a_recommender_that_fell_back_comes_back_the_same(
    cautious: Recommender, test: Demonstrations, tmp_path: Path
) -> None:
    cautious.save(str(tmp_path / "a"))
    found = Recommender.load(str(tmp_path / "a"))
    assert_are_same(found, cautious, test)
    assert not isinstance(found.policy_, BestOfN)
    manifest = manifest_of(tmp_path / "a")
    assert (manifest["chooses_per_query"], manifest["reward_model"], manifest["head_start"]) == (False, None, None)


@pytest.mark.parametrize("model", [PromptMeans(), KernelAdvantage()])
def test_the_context_of_prompts_comes_back(train: Demonstrations, tmp_path: Path, model: BaseEstimator) -> None:
    context = (Message("system", "Be brief."), Message("user", "1 + 1?"), Message("assistant", "2"))
    prompts = tuple(replace(prompt, context=context[: 2 * (i % 2) + 1]) for i, prompt in enumerate(train.prompts))
    recommender = Recommender([Candidate("model", model)]).fit(replace(train, prompts=prompts))
    recommender.save(tmp_path / "a")
    found = Recommender.load(tmp_path / "a")
    assert found.prompts_ == prompts
    recommendation = found.recommend("How many apples?")
    assert recommendation == recommender.recommend("How many apples?")
    assert recommendation.messages[0] == context[0]


def test_a_folder_saved_before_prompts_had_a_context_can_be_loaded(
    saved: Path, choosing: Recommender, test: Demonstrations
) -> None:
    state = (saved / "state.json").read_text(encoding="utf-8")
    former = state.replace(', "context": {"$tuple": []}', "")
    assert former != state
    rehashed(saved, "state.json", former.encode())
    assert_are_same(Recommender.load(saved), choosing, test)


def test_what_was_loaded_can_be_saved_and_loaded_again(
    original: Path, choosing: Recommender, test: Demonstrations, tmp_path: Path
) -> None:
    Recommender.load(original).save(tmp_path / "again")
    assert_are_same(Recommender.load(tmp_path / "again"), choosing, test)
    before, after = manifest_of(original), manifest_of(tmp_path / "again")
    assert before["files"]["state.json"] == after["files"]["state.json"]


def test_what_was_loaded_can_be_evaluated_but_not_on_what_it_was_trained_on(
    original: Path, choosing: Recommender, train: Demonstrations, test: Demonstrations
) -> None:
    found = Recommender.load(original)
    assert found.evaluate(test).to_dict() == choosing.evaluate(test).to_dict()
    with pytest.raises(LeakageError, match=f"{train.n_queries} of {train.n_queries}"):
        found.evaluate(train)
    assert found.unseen(train).n_queries == 0


def test_the_grouping_is_kept(train: Demonstrations, tmp_path: Path) -> None:
    half, rest = (train.select_queries(np.arange(start, train.n_queries, 2)) for start in (0, 1))
    Recommender([Candidate("means", PromptMeans())], by="question").fit(half).save(tmp_path / "a")
    found = Recommender.load(tmp_path / "a")
    assert found.by == "question"
    assert found.evaluate(rest).by == "question"


def test_the_manifest_says_what_is_there(original: Path, choosing: Recommender, train: Demonstrations) -> None:
    assert names_in(original) == FILES
    manifest = manifest_of(original)
    assert manifest["format_version"] == 3
    for name in ("state.json", "arrays.npz", "demonstrations.parquet"):
        data = (original / name).read_bytes()
        assert manifest["files"][name] == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert manifest["prompts"] == list(train.prompt_ids)
    assert manifest["best_single_prompt"] == choosing.best_single_.prompt_id
    assert manifest["training_data_sha256"] == train.sha256
    assert manifest["chooses_per_query"] is True
    assert manifest["reward_model"] == choosing.selection_.best.candidate
    assert manifest["head_start"] == choosing.selection_.best.head_start
    assert manifest["cross_validated_gain"] == choosing.selection_.best.gain.to_dict()
    assert {"python", "prompt-oirl", "numpy", "scikit-learn", "lightgbm"} <= set(manifest["versions"])
    assert manifest["features"]["type"] == type(choosing.policy_.model).__name__
    assert manifest["unseen_prompts"] == choosing.unseen_prompts_.to_dict()


def test_there_is_no_pickle(original: Path) -> None:
    with np.load(original / "arrays.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "biufU" for name in arrays.files)
    for name in NEEDED:
        assert b"\x80\x04\x95" not in (original / name).read_bytes()
    with zipfile.ZipFile(original / "arrays.npz") as archive:
        for name in archive.namelist():
            assert archive.read(name).startswith(b"\x93NUMPY")
            with pytest.raises(ValueError):
                list(pickletools.genops(archive.read(name)))


def test_no_training_text_is_in_a_folder_without_demonstrations(
    choosing: Recommender, tmp_path: Path, train: Demonstrations
) -> None:
    """Nor four words of one in a row: single words are, as the vocabulary."""
    original = tmp_path / "recommender"
    choosing.save(original, with_demonstrations=False)
    assert names_in(original) == NEEDED
    texts = [(original / name).read_text(encoding="utf-8") for name in ("state.json", "manifest.json")]
    with np.load(original / "arrays.npz") as arrays:
        texts += [repr(arrays[name].tolist()) for name in arrays.files if arrays[name].dtype.kind not in "biuf"]
        binary = b"".join(arrays[name].tobytes() for name in arrays.files)
    whole = "\n".join(texts)
    assert train.prompts[0].id in whole
    for query in train.queries:
        words = query.text.split()
        runs = {" ".join(words[i : i + 4]) for i in range(len(words) - 3)}
        for run in {query.text, query_template(query.text), *runs}:
            assert run not in whole
            assert run.encode() not in binary


@pytest.mark.parametrize("name", ["state.json", "arrays.npz"])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_byte_is_refused(saved: Path, name: str, place: float) -> None:
    data = bytearray((saved / name).read_bytes())
    data[int(place * len(data))] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=rf"{name} has sha256 .* its manifest says .*train and save again"):
        Recommender.load(saved)


def test_a_flipped_bit_anywhere_in_the_manifest_is_refused(saved: Path) -> None:
    data = (saved / "manifest.json").read_bytes()
    for place in range(0, len(data), 7):
        for bit in (1, 32, 128):
            damaged = bytearray(data)
            damaged[place] ^= bit
            (saved / "manifest.json").write_bytes(damaged)
            with pytest.raises(ArtifactError, match=r"manifest\.json|format version"):
                Recommender.load(saved)


@pytest.mark.parametrize("change", [bytes.strip, lambda data: data + b" ", lambda data: data.replace(b"  ", b"\t")])
def test_a_manifest_that_says_the_same_in_other_bytes_is_refused(saved: Path, change: Callable[[bytes], bytes]) -> None:
    (saved / "manifest.json").write_bytes(change((saved / "manifest.json").read_bytes()))
    with pytest.raises(ArtifactError, match="has been changed"):
        Recommender.load(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        Recommender.load(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(saved: Path, name: str) -> None:
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match=name):
        Recommender.load(saved)


def test_what_is_no_recommender_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no saved recommender"):
        Recommender.load(tmp_path)
    with pytest.raises(ArtifactError, match="nowhere"):
        Recommender.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("text")
    with pytest.raises(ArtifactError, match="file"):
        Recommender.load(tmp_path / "file")


@pytest.mark.parametrize("found", [4, 0, "1", None, True, 2.0, [2]])
def test_another_format_version_is_refused(saved: Path, found: object) -> None:
    change_manifest(saved, format_version=found)
    here = re.escape(version("prompt-oirl"))
    problem = (
        rf"format version {re.escape(repr(found))}, this prompt-oirl {here} reads 1 to 3; install prompt-oirl {here}"
    )
    with pytest.raises(ArtifactError, match=problem):
        Recommender.load(saved)


@pytest.mark.parametrize("content", ["", "not JSON", "[1, 2]", "3"])
def test_a_manifest_that_is_none_is_refused(saved: Path, content: str) -> None:
    (saved / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        Recommender.load(saved)


@pytest.mark.parametrize("files", [None, [], {"state.json": None}], ids=repr)
def test_a_manifest_whose_files_are_none_is_refused(saved: Path, files: object) -> None:
    change_manifest(saved, files=files)
    with pytest.raises(ArtifactError):
        Recommender.load(saved)


def test_a_manifest_that_lists_no_file_is_refused(saved: Path) -> None:
    change_manifest(saved, files={})
    with pytest.raises(ArtifactError, match=r"state\.json"):
        Recommender.load(saved)


def write_state(saved: Path, change: Callable[[str], str]) -> None:
    """Change the state and the hash in the manifest with it."""
    rehashed(saved, "state.json", change((saved / "state.json").read_text(encoding="utf-8")).encode())


def test_a_state_of_an_unknown_type_is_refused(saved: Path) -> None:
    write_state(saved, lambda state: state.replace('"$type": "BestOfN"', '"$type": "Popen"'))
    with pytest.raises(ArtifactError, match=r"Popen"):
        Recommender.load(saved)


def test_an_array_that_is_missing_is_refused(saved: Path) -> None:
    write_state(saved, lambda state: state.replace('"$array": "root', '"$array": "branch', 1))
    with pytest.raises(ArtifactError, match=r"branch"):
        Recommender.load(saved)


def test_an_existing_folder_is_refused(cautious: Recommender, saved: Path) -> None:
    before = contents(saved)
    with pytest.raises(ArtifactError, match=r"exists and is not empty; remove it, or allow it to be overwritten"):
        cautious.save(saved)
    assert contents(saved) == before


def test_an_empty_folder_may_be_filled(cautious: Recommender, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cautious.save(tmp_path / "empty")
    assert names_in(tmp_path / "empty") == FILES
    assert Recommender.load(tmp_path / "empty").demonstrations_ is not None
    assert names_in(tmp_path) == ["empty"]


def test_folders_on_the_way_are_made(cautious: Recommender, tmp_path: Path) -> None:
    cautious.save(tmp_path / "a" / "b")
    assert names_in(tmp_path / "a" / "b") == FILES


def test_a_recommender_may_be_overwritten(
    cautious: Recommender, saved: Path, test: Demonstrations, tmp_path: Path
) -> None:
    cautious.save(saved, overwrite=True)
    assert_are_same(Recommender.load(saved), cautious, test)
    assert names_in(tmp_path) == ["recommender"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_nothing_else_is_ever_overwritten(cautious: Recommender, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("text")
    for name in ("work", "file"):
        with pytest.raises(ArtifactError, match="name another folder"):
            cautious.save(tmp_path / name, overwrite=overwrite)
    assert (tmp_path / "work" / "thesis.tex").read_text() == "years"
    assert (tmp_path / "file").read_text() == "text"
    assert names_in(tmp_path) == ["file", "work"]


def test_a_folder_with_more_than_a_recommender_is_not_overwritten(cautious: Recommender, saved: Path) -> None:
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError):
        cautious.save(saved, overwrite=True)
    assert (saved / "notes.txt").read_text() == "mine"


def no_space(*args: object, **kwargs: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture(params=["arrays", "manifest", "hash", "place"])
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A save that fails at one of its steps."""
    if request.param == "arrays":
        monkeypatch.setattr(folder.np, "savez_compressed", no_space)
    if request.param == "manifest":
        monkeypatch.setattr(folder, "write_manifest", no_space)
    if request.param == "hash":
        monkeypatch.setattr(manifests, "sha256_of", no_space)
    if request.param == "place":
        monkeypatch.setattr(folder, "put_in_place", no_space)
    yield request.param
    monkeypatch.undo()


def test_after_a_failure_nothing_is_left(cautious: Recommender, tmp_path: Path, failing: str) -> None:
    with pytest.raises(OSError, match="No space"):
        cautious.save(tmp_path / "recommender")
    assert names_in(tmp_path) == []


def test_after_a_failure_the_former_recommender_is_as_it_was(
    cautious: Recommender, saved: Path, tmp_path: Path, failing: str
) -> None:
    before = contents(saved)
    with pytest.raises(OSError, match="No space"):
        cautious.save(saved, overwrite=True)
    assert contents(saved) == before
    assert names_in(tmp_path) == ["recommender"]


def test_where_the_new_one_cannot_be_put_in_place_the_former_is_as_it_was(
    cautious: Recommender, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(saved)
    replace = Path.replace
    monkeypatch.setattr(placing, "_exchange", lambda *_: False)

    def refuse(self: Path, target: Path) -> Path:
        if Path(target) == saved and not any(part == "former" for part in self.suffixes):
            monkeypatch.setattr(Path, "replace", replace)
            raise PermissionError(13, "refused")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        cautious.save(saved, overwrite=True)
    assert contents(saved) == before
    assert names_in(tmp_path) == ["recommender"]


class Unknown(BaseEstimator):
    """A reward model that is not among the types that can be saved."""

    @property
    def gives_probabilities(self) -> bool:
        return False

    def fit(self, demonstrations: Demonstrations) -> Unknown:
        self.model_ = KernelAdvantage().fit(demonstrations)
        return self

    def score(self, queries: Any, prompts: Any) -> np.ndarray:
        return self.model_.score(queries, prompts)


def test_a_model_of_an_unknown_type_is_not_saved(train: Demonstrations, tmp_path: Path) -> None:
    recommender = Recommender([Candidate("unknown", Unknown())]).fit(train)
    assert recommender.selection_.pays
    with pytest.raises(ArtifactError, match=r"Unknown cannot be saved.*KernelAdvantage"):
        recommender.save(tmp_path / "a")
    assert names_in(tmp_path) == []


def test_only_what_was_fitted_is_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        Recommender().save(tmp_path / "a")
    assert names_in(tmp_path) == []
