from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from prompt_oirl.errors import DataError, NotFittedError
from prompt_oirl.features.ngrams import WordCounts
from prompt_oirl.features.similarity import TextSimilarity, UnitSpread
from prompt_oirl.features.surface import token_statistics
from prompt_oirl.features.tokens import tokenize
from prompt_oirl.testing import SyntheticWorld

TEXTS = [query.text for query in SyntheticWorld(n_queries=150, seed=5).queries]


@pytest.fixture(scope="module")
def similarity() -> TextSimilarity:
    return TextSimilarity().fit(TEXTS)


def kernel(similarity: TextSimilarity, a: list[str], b: list[str]) -> np.ndarray:
    return TextSimilarity.between(similarity.points(a), similarity.points(b))


def test_it_is_a_kernel(similarity: TextSimilarity) -> None:
    matrix = kernel(similarity, TEXTS, TEXTS)
    assert matrix.dtype == np.float32
    assert matrix.shape == (150, 150)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-4)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    assert np.linalg.eigvalsh(matrix.astype(np.float64)).min() > -1e-4
    assert matrix.min() >= 0
    off_diagonal = matrix[~np.eye(150, dtype=bool)]
    assert 0.001 < off_diagonal.mean() < 0.5


def test_it_is_what_its_docstring_says(similarity: TextSimilarity) -> None:
    points = similarity.points(TEXTS[:20])
    n_words = len(similarity.words_.terms_)
    terms = points.terms.toarray().astype(np.float64)
    words, skeleton = terms[:, :n_words], terms[:, n_words:]
    np.testing.assert_allclose((words**2).sum(axis=1), 0.5, atol=1e-5)
    np.testing.assert_allclose((skeleton**2).sum(axis=1), 0.5, atol=1e-5)
    tokens, all_tokens = tokenize(TEXTS[:20]), tokenize(TEXTS)
    distances = np.zeros((20, 20))
    for of in (token_statistics, WordCounts(100).fit(all_tokens).transform):
        form = UnitSpread.of(of(all_tokens)).apply(of(tokens))
        distances += ((form[:, None] - form) ** 2).sum(axis=2)
    expected = (words @ words.T + skeleton @ skeleton.T) * np.exp(-distances)
    np.testing.assert_allclose(TextSimilarity.between(points, points), expected, atol=1e-5)


def test_near_duplicates_are_nearly_alike() -> None:
    texts = [*TEXTS, "Tom has 12 red apples and eats 5 of them. How many apples are left?"]
    similarity = TextSimilarity().fit(texts)
    same, other = kernel(
        similarity, ["Tom has 14 red apples and eats 6 of them. How many apples are left?", TEXTS[0]], [texts[-1]]
    )[:, 0]
    assert same > 0.9
    assert other < 0.5


def test_a_text_is_compared_alone_as_in_a_batch(similarity: TextSimilarity) -> None:
    matrix = kernel(similarity, TEXTS[:10], TEXTS)
    np.testing.assert_allclose(kernel(similarity, [TEXTS[3]], TEXTS), matrix[[3]], atol=2e-5)
    points = similarity.points(TEXTS)
    rows = np.array([7, 2])
    taken = points.take(rows)
    assert len(taken) == 2
    whole = TextSimilarity.between(points, points)
    np.testing.assert_allclose(TextSimilarity.between(taken, points), whole[rows], atol=2e-5)


def test_unknown_words_are_like_nothing_but_finite(similarity: TextSimilarity) -> None:
    found = kernel(similarity, ["Zyzzyva qoph"], TEXTS)
    assert np.isfinite(found).all()
    assert found.max() < 0.5
    assert kernel(similarity, ["_"], TEXTS).max() == 0


def test_no_text_to_compare(similarity: TextSimilarity) -> None:
    assert kernel(similarity, [], TEXTS).shape == (0, 150)


@pytest.mark.parametrize("texts", [["a"], ["same text"] * 3, ["?", "!"], ["1", "2", "3"]])
def test_texts_that_hardly_differ(texts: list[str]) -> None:
    similarity = TextSimilarity().fit(texts)
    matrix = kernel(similarity, [*texts, "something else entirely"], texts)
    assert np.isfinite(matrix).all()
    assert matrix.min() >= 0
    assert matrix.max() <= 1 + 1e-5


def test_copies_of_one_text_are_alike() -> None:
    similarity = TextSimilarity().fit(["Tom has 3 apples."] * 4)
    np.testing.assert_allclose(kernel(similarity, ["Tom has 3 apples."], ["Tom has 3 apples."]), 1, atol=1e-5)


def test_an_empty_vocabulary() -> None:
    similarity = TextSimilarity().fit(["_", "__"])
    np.testing.assert_array_equal(kernel(similarity, ["_", "a word"], ["_"]), np.zeros((2, 1)))


@settings(max_examples=60, deadline=None)
@given(
    train=st.lists(st.text(max_size=40).map("a".__add__), min_size=1, max_size=6),
    test=st.lists(st.text(max_size=40), max_size=4),
)
def test_any_texts_have_finite_similarities(train: list[str], test: list[str]) -> None:
    matrix = kernel(TextSimilarity().fit(train), [*test, *train], train)
    assert np.isfinite(matrix).all()
    assert matrix.min() >= 0
    assert matrix.max() <= 1 + 1e-4


def test_it_needs_a_text_and_a_fit() -> None:
    with pytest.raises(DataError, match="at least one text"):
        TextSimilarity().fit([])
    with pytest.raises(NotFittedError, match="call fit"):
        TextSimilarity().points(["a"])
    with pytest.raises(NotFittedError):
        clone(TextSimilarity().fit(["a b"])).points(["a"])


def test_its_parameters_do_what_they_say() -> None:
    made = TextSimilarity(5, n_profile=7, skeleton_length=2, min_df=3)
    assert made.get_params() == {"n_skeleton": 5, "n_profile": 7, "skeleton_length": 2, "min_df": 3}
    made.fit(TEXTS)
    assert len(made.skeleton_.vocabulary_) == 5
    assert len(made.profile_.vocabulary_) == 7
    assert made.skeleton_.terms_.max() < 7**2
    assert len(made.words_.terms_) < len(TextSimilarity().fit(TEXTS).words_.terms_)


def test_unit_spread_puts_training_texts_at_squared_distance_one() -> None:
    columns = np.random.default_rng(0).normal([5, -100, 0], [1, 30, 0.01], (2000, 3))
    scaled = UnitSpread.of(columns).apply(columns)
    distances = ((scaled[:1000] - scaled[1000:]) ** 2).sum(axis=1)
    assert distances.mean() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(scaled.std(axis=0), scaled.std(axis=0)[0], rtol=0.02)


def test_unit_spread_of_constant_columns_is_zero() -> None:
    spread = UnitSpread.of(np.array([[1.0, 2.0], [1.0, 4.0]]))
    assert spread.scaling.factor[0] == 0
    np.testing.assert_array_equal(spread.apply(np.array([[99.0, 3.0]])), [[0, 0]])
    assert UnitSpread.of(np.full((3, 2), 8.0)).apply(np.array([[1.0, 9.0]])).tolist() == [[0, 0]]


def test_unit_spread_of_a_column_that_rounding_makes_uneven() -> None:
    columns = np.full((999, 1), np.log1p(7))
    assert columns.std() > 0
    assert UnitSpread.of(columns).apply(np.array([[np.log1p(8)]])).tolist() == [[0]]


def test_a_value_far_out_moves_a_text_no_further_away() -> None:
    spread = UnitSpread.of(np.array([[0.0], [2.0]]))
    far, further = spread.apply(np.array([[50.0], [5000.0]]))
    assert far == further == 4 / spread.width
