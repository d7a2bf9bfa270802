from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, NotFittedError, ParameterError, UnseenPromptError
from prompt_oirl.features.similarity import TextSimilarity
from prompt_oirl.features.threads import one_blas_thread
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward import kernel_advantage
from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.protocol import LeavesGroupsOut
from prompt_oirl.reward.targets import advantage_weights, advantages
from prompt_oirl.testing import SyntheticWorld

COMPLETE = SyntheticWorld(n_queries=80, missing=0, unparsable=0, interaction=2, seed=3).demonstrations
WITH_MISSING = SyntheticWorld(n_queries=80, missing=0.3, unparsable=0.05, interaction=2, repeats=2, seed=4)
NEW = SyntheticWorld(n_queries=40, seed=99).queries
FEW_FOR_SINGLE = np.float32(5e-4)
"""What single precision, and untried cells of noise 1e4 instead of infinity, may make of a score."""


def learnable(demonstrations: Demonstrations) -> Demonstrations:
    return demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))


LOGS = {"complete": COMPLETE, "with missing": learnable(WITH_MISSING.demonstrations)}


class GaussianProcess:
    """The same model, dense, in double precision, prompt by prompt, on the cells that were tried."""

    def __init__(self, model: KernelAdvantage, demonstrations: Demonstrations, similarity: TextSimilarity) -> None:
        self.model, self.similarity = model, similarity
        self.texts = [query.text for query in demonstrations.queries]
        weights, values = advantage_weights(demonstrations), advantages(demonstrations)
        self.tried = weights > 0
        with np.errstate(divide="ignore"):
            self.noise = model.own_share + (1 - model.own_share) * model.reference_trials / weights
        self.means = np.array(
            [np.average(values[tried, k], weights=1 / self.noise[tried, k]) for k, tried in enumerate(self.tried.T)]
        )
        self.residuals = values - self.means
        self.between = self.kernel(self.texts)

    def kernel(self, texts: list[str]) -> np.ndarray:
        points = self.similarity.points
        return TextSimilarity.between(points(texts), points(self.texts)).astype(np.float64) + 1

    def predict(self, texts: list[str], rows: np.ndarray, *, own: bool = False) -> np.ndarray:
        """Predict from some of the training queries; `own` adds to each of these its own effect."""
        return self.predict_from(self.kernel(texts), rows, own=own)

    def predict_from(self, kernel: np.ndarray, rows: np.ndarray, *, own: bool = False) -> np.ndarray:
        found = np.zeros((len(kernel), len(self.means)))
        for k in range(len(self.means)):
            used = rows[self.tried[rows, k]]
            for level in self.model.noise_levels:
                covariance = self.between[np.ix_(used, used)] + np.diag(level * self.noise[used, k])
                alpha = np.linalg.solve(covariance, self.residuals[used, k])
                found[:, k] += kernel[:, used] @ alpha
                if own:
                    found[used, k] += level * self.model.own_share * alpha
        return found / len(self.model.noise_levels) + self.means

    def leave_group_out(self, groups: np.ndarray) -> np.ndarray:
        found = np.zeros_like(self.residuals)
        for group in np.unique(groups):
            inside = np.flatnonzero(groups == group)
            found[inside] = self.predict_from(self.between[inside], np.flatnonzero(groups != group))
        return found


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_blas_thread():
        yield


@pytest.fixture(params=LOGS.values(), ids=LOGS.keys())
def logs(request: pytest.FixtureRequest) -> Demonstrations:
    return request.param


def similarity_of(demonstrations: Demonstrations) -> TextSimilarity:
    return TextSimilarity().fit([query.text for query in demonstrations.queries])


def test_new_queries_get_the_posterior_mean(logs: Demonstrations) -> None:
    model = KernelAdvantage(own_share=0.3, reference_trials=2).fit(logs)
    expected = GaussianProcess(model, logs, similarity_of(logs)).predict(
        [query.text for query in NEW], np.arange(logs.n_queries)
    )
    found = model.score(NEW, logs.prompts)
    np.testing.assert_allclose(found, expected, atol=FEW_FOR_SINGLE)
    assert found.std(axis=0).min() > 0.01


def test_training_queries_keep_their_own_effects(logs: Demonstrations) -> None:
    model = KernelAdvantage(own_share=0.6).fit(logs)
    process = GaussianProcess(model, logs, similarity_of(logs))
    everything = np.arange(logs.n_queries)
    found = model.score(logs.queries, logs.prompts)
    expected = process.predict(process.texts, everything, own=True)
    np.testing.assert_allclose(found, expected, atol=FEW_FOR_SINGLE)
    assert np.abs(found - process.predict(process.texts, everything)).max() > 0.02


def test_a_training_query_is_drawn_to_its_own_trials() -> None:
    values, alone = advantages(COMPLETE), np.arange(COMPLETE.n_queries)
    shares = []
    for own_share in (0.0, 0.5, 0.9):
        model = KernelAdvantage(noise_levels=(2.0,), own_share=own_share)
        without = model.leave_groups_out(COMPLETE, [alone])[0]
        found = model.fit(COMPLETE).score(COMPLETE.queries, COMPLETE.prompts)
        way = (found - without) / (values - without)
        assert 0 < way.min() < way.max() < 1
        shares.append(way.mean())
    assert shares[0] + 0.2 < shares[1] < shares[2] - 0.2


def test_the_own_effect_is_the_querys_alone() -> None:
    model = KernelAdvantage().fit(COMPLETE)
    values = advantages(COMPLETE)
    asked_otherwise = [Query(query.text + " ") for query in COMPLETE.queries]
    same_text, other_text = (model.score(each, COMPLETE.prompts) for each in (COMPLETE.queries, asked_otherwise))
    assert np.abs(values - same_text).mean() < np.abs(values - other_text).mean() - 0.05


@pytest.mark.parametrize("by", ["template", "question"])
def test_leaving_groups_out_is_fitting_without_them(logs: Demonstrations, by: str) -> None:
    groups = logs.groups(by)
    assert (np.bincount(groups).max() > 1) == (by == "template")
    model = KernelAdvantage()
    expected = GaussianProcess(model, logs, similarity_of(logs)).leave_group_out(groups)
    np.testing.assert_allclose(model.leave_groups_out(logs, [groups])[0], expected, atol=FEW_FOR_SINGLE)


def test_leaving_large_groups_out_is_fitting_without_them(logs: Demonstrations) -> None:
    groups = np.random.default_rng(0).integers(0, 4, logs.n_queries)
    model = KernelAdvantage(noise_levels=(0.5, 3.0))
    expected = GaussianProcess(model, logs, similarity_of(logs)).leave_group_out(groups)
    np.testing.assert_allclose(model.leave_groups_out(logs, [groups])[0], expected, atol=FEW_FOR_SINGLE)


def test_leaving_groups_out_is_nearly_fitting_again_from_the_start(
    logs: Demonstrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly, since the prompts' means are learnt with the group; the similarity is the same here."""
    similarity = similarity_of(logs)
    monkeypatch.setattr(KernelAdvantage, "_fitted_similarity", lambda self, demonstrations: similarity)
    groups = logs.groups()
    found = KernelAdvantage().leave_groups_out(logs, [groups])[0]
    for group in range(0, groups.max() + 1, 7):
        inside = np.flatnonzero(groups == group)
        again = KernelAdvantage().fit(logs.select_queries(np.flatnonzero(groups != group)))
        scores = again.score([logs.queries[i] for i in inside], logs.prompts)
        np.testing.assert_allclose(found[inside], scores, atol=0.01)


def test_scores_without_a_group_do_not_depend_on_its_rewards() -> None:
    """But for the prompts' means, which all queries share; a constant for each prompt is taken off."""
    groups = COMPLETE.groups()
    group = int(np.bincount(groups).argmax())
    inside = groups == group
    successes = COMPLETE.successes.copy()
    successes[inside] = COMPLETE.trials[inside] - successes[inside]
    flipped = Demonstrations(COMPLETE.queries, COMPLETE.prompts, COMPLETE.trials, successes, COMPLETE.unscored)
    before, after = (KernelAdvantage().leave_groups_out(each, [groups])[0] for each in (COMPLETE, flipped))
    assert np.abs(after - before)[inside].max() < 0.005
    assert np.abs(after - before)[~inside].max() > 0.01


@pytest.mark.parametrize("block_size", [3500, 30])
def test_scores_of_some_prompts_are_those_of_a_model_of_these_alone(block_size: int) -> None:
    model = KernelAdvantage(block_size=block_size)
    groups = COMPLETE.groups()
    some = [4, 0, 2]
    subset = COMPLETE.select_prompts(some)
    queries = (*NEW, *COMPLETE.queries)
    pairs = [
        (
            KernelAdvantage(block_size=block_size).fit(COMPLETE).score(queries, subset.prompts),
            KernelAdvantage(block_size=block_size).fit(subset).score(queries, subset.prompts),
        ),
        (model.leave_groups_out(COMPLETE, [groups])[0][:, some], model.leave_groups_out(subset, [groups])[0]),
    ]
    for of_all, alone in pairs:
        difference = of_all - alone
        np.testing.assert_allclose(difference, np.broadcast_to(difference[:, :1], difference.shape), atol=1e-4)
        assert np.abs(difference).max() > 0.01


def test_blocks_keep_groups_whole_and_are_averaged() -> None:
    logs = LOGS["with missing"]
    model = KernelAdvantage(block_size=25, seed=5).fit(logs)
    rows_of_block = [[] for _ in model.blocks_]
    for row, query in enumerate(logs.queries):
        block, row_in_block = model.training_rows_[query.id]
        assert row_in_block == len(rows_of_block[block])
        rows_of_block[block].append(row)
    assert len(rows_of_block) == 4
    assert sorted(row for rows in rows_of_block for row in rows) == list(range(logs.n_queries))
    groups = logs.groups()
    assert sum(len(set(groups[rows])) for rows in rows_of_block) == groups.max() + 1
    assert all(10 < len(rows) < 35 for rows in rows_of_block)
    process = GaussianProcess(model, logs, similarity_of(logs))
    texts = [query.text for query in NEW]
    expected = np.mean([process.predict(texts, np.array(rows)) for rows in rows_of_block], axis=0)
    np.testing.assert_allclose(model.score(NEW, logs.prompts), expected, atol=FEW_FOR_SINGLE)
    for rows in rows_of_block:
        own = process.predict(process.texts, np.array(rows), own=True)[rows]
        np.testing.assert_allclose(model.score([logs.queries[i] for i in rows], logs.prompts), own, atol=FEW_FOR_SINGLE)


def test_groups_are_left_out_of_their_own_block() -> None:
    groups = COMPLETE.groups()
    model = KernelAdvantage(block_size=25, seed=5)
    found = model.leave_groups_out(COMPLETE, [groups])[0]
    process = GaussianProcess(model, COMPLETE, similarity_of(COMPLETE))
    fitted = model.fit(COMPLETE)
    block = np.array([fitted.training_rows_[query.id][0] for query in COMPLETE.queries])
    for group in range(0, groups.max() + 1, 5):
        inside = np.flatnonzero(groups == group)
        others = np.flatnonzero((groups != group) & (block == block[inside[0]]))
        expected = process.predict([process.texts[i] for i in inside], others)
        np.testing.assert_allclose(found[inside], expected, atol=FEW_FOR_SINGLE)


@pytest.mark.parametrize("block_size", [3500, 30])
def test_a_whole_fold_can_be_left_out_though_it_is_spread_over_the_blocks(block_size: int) -> None:
    """Its rewards have no say in its own scores, but for a trifle through the prompts' means."""
    folds = COMPLETE.groups() % 4
    model = KernelAdvantage(block_size=block_size, seed=5)
    is_held_out = folds == 2
    flipped = np.where(is_held_out[:, None], COMPLETE.trials - COMPLETE.successes, COMPLETE.successes)
    other = Demonstrations(COMPLETE.queries, COMPLETE.prompts, COMPLETE.trials, flipped, COMPLETE.unscored)
    before, after = (model.leave_groups_out(each, [folds])[0] for each in (COMPLETE, other))
    moved = np.abs(after - before)
    assert moved[is_held_out].max() < 0.03
    assert moved[~is_held_out].max() > 0.05
    assert np.unique(np.round(before, 6), axis=0).shape[0] > 40


def test_there_are_no_more_blocks_than_groups() -> None:
    one_group = Demonstrations(
        tuple(Query(f"Tom has {i} apples. How many?") for i in range(COMPLETE.n_queries)),
        COMPLETE.prompts,
        COMPLETE.trials,
        COMPLETE.successes,
        COMPLETE.unscored,
    )
    blocked, whole = (KernelAdvantage(block_size=size).fit(one_group) for size in (20, 3500))
    assert all(len(block.points) for block in blocked.blocks_)
    np.testing.assert_allclose(blocked.score(NEW, COMPLETE.prompts), whole.score(NEW, COMPLETE.prompts))


def test_many_queries_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = KernelAdvantage().fit(COMPLETE)
    at_once = model.score(NEW, COMPLETE.prompts)
    monkeypatch.setattr(kernel_advantage, "_N_COMPARISONS", 3 * COMPLETE.n_queries)
    calls, score = [], KernelAdvantage._score

    def counted(self: KernelAdvantage, queries: tuple[Query, ...]) -> np.ndarray:
        calls.append(len(queries))
        return score(self, queries)

    monkeypatch.setattr(KernelAdvantage, "_score", counted)
    np.testing.assert_allclose(model.score(NEW, COMPLETE.prompts), at_once, atol=1e-5)
    assert calls == [3] * 13 + [1]
    assert model.score([], COMPLETE.prompts[:2]).shape == (0, 2)


def test_the_same_seed_gives_the_same_scores() -> None:
    first, second, other = (KernelAdvantage(block_size=30, seed=seed).fit(COMPLETE) for seed in (1, 1, 2))
    scores = first.score(NEW, COMPLETE.prompts)
    np.testing.assert_array_equal(second.score(NEW, COMPLETE.prompts), scores)
    assert np.abs(other.score(NEW, COMPLETE.prompts) - scores).max() > 0.001


def test_noise_levels_are_averaged() -> None:
    def scores(*levels: float) -> np.ndarray:
        model = KernelAdvantage(noise_levels=levels)
        return np.vstack(
            [model.leave_groups_out(COMPLETE, [COMPLETE.groups()])[0], model.fit(COMPLETE).score(NEW, COMPLETE.prompts)]
        )

    np.testing.assert_allclose(scores(0.5, 8.0), (scores(0.5) + scores(8.0)) / 2, atol=1e-4)
    assert scores(0.5).std() > 1.2 * scores(8.0).std()


def test_more_trials_count_for_more() -> None:
    often = Demonstrations(
        COMPLETE.queries, COMPLETE.prompts, COMPLETE.trials * 20, COMPLETE.successes * 20, COMPLETE.unscored
    )
    spread = [KernelAdvantage().fit(each).score(NEW, each.prompts).std(axis=0).mean() for each in (COMPLETE, often)]
    assert spread[1] > 1.2 * spread[0]


@pytest.mark.parametrize(("n_queries", "n_prompts"), [(2, 2), (2, 1), (3, 6)])
def test_tiny_logs(n_queries: int, n_prompts: int) -> None:
    tiny = COMPLETE.select_queries(np.arange(n_queries)).select_prompts(range(n_prompts))
    model = KernelAdvantage()
    assert np.isfinite(model.leave_groups_out(tiny, [tiny.groups()])[0]).all()
    scores = model.fit(tiny).score((*NEW, *tiny.queries), tiny.prompts)
    assert np.isfinite(scores).all()
    assert scores.any() == (n_prompts > 1)


def test_several_partitions_are_each_what_they_are_alone() -> None:
    model, rng = KernelAdvantage(block_size=60), np.random.default_rng(3)
    partitions = [rng.integers(0, 5, COMPLETE.n_queries) for _ in range(3)]
    together = model.leave_groups_out(COMPLETE, partitions)
    for found, partition in zip(together, partitions, strict=True):
        np.testing.assert_allclose(found, model.leave_groups_out(COMPLETE, [partition])[0], atol=FEW_FOR_SINGLE)


def test_one_group_left_out_leaves_the_means() -> None:
    found = KernelAdvantage().leave_groups_out(COMPLETE, [np.zeros(COMPLETE.n_queries, dtype=np.int64)])[0]
    means = np.average(advantages(COMPLETE), axis=0, weights=1 / (0.5 + 0.5 * 4.5 / COMPLETE.trials[:, 0]))
    np.testing.assert_allclose(found, np.broadcast_to(means, found.shape), atol=1e-4)


def one_prompt_a_query(demonstrations: Demonstrations, only: list[int]) -> Demonstrations:
    """The prompts of `only` are never compared with another on one query; they have every other query to themselves."""
    kept = np.ones_like(demonstrations.trials)
    kept[:, only] = 0
    alone = np.arange(0, demonstrations.n_queries, 2)
    kept[alone] = 0
    kept[alone, np.resize(only, len(alone))] = 1
    return Demonstrations(
        demonstrations.queries,
        demonstrations.prompts,
        demonstrations.trials * kept,
        demonstrations.successes * kept,
        demonstrations.unscored,
    )


@pytest.mark.parametrize("only", [[5], [1, 3]])
def test_prompts_that_were_never_compared_have_finite_scores(only: list[int]) -> None:
    logs = one_prompt_a_query(COMPLETE, only)
    assert np.isfinite(KernelAdvantage().leave_groups_out(logs, [logs.groups()])[0]).all()
    assert np.isfinite(KernelAdvantage().fit(logs).score(NEW, logs.prompts)).all()


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"noise_levels": ()}, "noise_levels"),
        ({"noise_levels": (1.0, 0.0)}, "noise_levels"),
        ({"noise_levels": (-1.0,)}, "noise_levels"),
        ({"own_share": -0.1}, "own_share"),
        ({"own_share": 1.0}, "own_share"),
        ({"own_share": float("nan")}, "own_share"),
        ({"reference_trials": 0}, "reference_trials"),
        ({"block_size": 1}, "block_size"),
    ],
)
def test_parameters_outside_what_is_allowed(parameters: dict[str, object], named: str) -> None:
    model = KernelAdvantage(**parameters)
    with pytest.raises(ParameterError, match=f"{named}="):
        model.fit(COMPLETE)
    with pytest.raises(ParameterError, match=f"{named}="):
        model.leave_groups_out(COMPLETE, [COMPLETE.groups()])[0]


def test_what_cannot_be_learnt_from() -> None:
    untried = SyntheticWorld(n_queries=10, seed=0).demonstrations
    none = np.zeros_like(untried.trials)
    with pytest.raises(DataError, match="no scored trial"):
        KernelAdvantage().fit(Demonstrations(untried.queries, untried.prompts, none, none, none))
    trials = untried.trials.copy()
    trials[3] = 0
    successes = np.minimum(untried.successes, trials)
    partly = Demonstrations(untried.queries, untried.prompts, trials, successes, untried.unscored)
    with pytest.raises(DataError, match="select_queries"):
        KernelAdvantage().leave_groups_out(partly, [partly.groups()])[0]
    assert len(KernelAdvantage().fit(partly).training_rows_) == 9
    with pytest.raises(DataError, match="at least 2"):
        KernelAdvantage().fit(untried.select_queries(np.array([0])))


def test_errors_of_scoring() -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        KernelAdvantage().score(NEW, COMPLETE.prompts)
    with pytest.raises(UnseenPromptError, match="never-seen"):
        KernelAdvantage().fit(COMPLETE).score(NEW, [Prompt.from_text("New.", id="never-seen")])


def test_it_has_a_closed_form_and_gives_no_probabilities() -> None:
    assert isinstance(KernelAdvantage(), LeavesGroupsOut)
    assert KernelAdvantage().gives_probabilities is False


def test_a_similarity_that_is_given_is_used_and_left_as_it_was() -> None:
    similarity = TextSimilarity(10, n_profile=5)
    model = KernelAdvantage(similarity).fit(COMPLETE)
    assert not hasattr(similarity, "words_")
    assert len(model.similarity_.profile_.vocabulary_) == 5
    scores = [each.score(NEW, COMPLETE.prompts) for each in (model, KernelAdvantage().fit(COMPLETE))]
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
