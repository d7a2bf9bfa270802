from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from prompt_oirl.errors import ParameterError
from prompt_oirl.features.ngrams import NGramWeights, WordCounts
from prompt_oirl.features.tokens import tokenize

SIMPLE = [
    "tom has red apples and tom eats red apples",
    "ann has red pears",
    "tom and ann and tom run",
    "how many apples has ann",
    "pears",
]


def term_names(weights: NGramWeights) -> list[str]:
    """The n-grams as words; the word that stands for all others is "x"."""
    base = len(weights.vocabulary_) + 2
    words = {code + 1: word for word, code in weights.vocabulary_.items()} | {1: "x"}
    names = []
    for number in weights.terms_.tolist():
        digits = []
        while number:
            number, digit = divmod(number, base)
            digits.append(words[digit])
        names.append(" ".join(reversed(digits)))
    return names


def weights_of(weights: NGramWeights, text: str) -> dict[str, float]:
    row = weights.transform(tokenize([text])).toarray()[0]
    return {name: float(value) for name, value in zip(term_names(weights), row, strict=True) if value}


@pytest.mark.parametrize("n_max", [1, 2, 3])
@pytest.mark.parametrize("min_df", [1, 2])
@pytest.mark.parametrize("sublinear", [True, False])
def test_weights_are_those_of_scikit_learn(n_max: int, min_df: int, sublinear: bool) -> None:
    peer = TfidfVectorizer(sublinear_tf=sublinear, ngram_range=(1, n_max), min_df=min_df, token_pattern=r"[a-z]+")
    expected = peer.fit_transform(SIMPLE).toarray()
    found = NGramWeights(n_max, min_df=min_df, sublinear=sublinear).fit(tokenize(SIMPLE))
    names = term_names(found)
    assert sorted(names) == sorted(peer.get_feature_names_out())
    columns = [peer.vocabulary_[name] for name in names]
    np.testing.assert_allclose(found.transform(tokenize(SIMPLE)).toarray(), expected[:, columns], atol=1e-6)
    new = ["red apples run with unknown words and red apples", "nothing known here"]
    np.testing.assert_allclose(
        NGramWeights(1, min_df=min_df).fit(tokenize(SIMPLE)).transform(tokenize(new)).toarray().sum(axis=1),
        TfidfVectorizer(sublinear_tf=True, min_df=min_df, token_pattern=r"[a-z]+")
        .fit(SIMPLE)
        .transform(new)
        .toarray()
        .sum(axis=1),
        rtol=1e-5,
    )


def test_numbers_are_one_word_and_some_marks_are_words() -> None:
    weights = NGramWeights(2, min_df=1).fit(tokenize(["Tom's $1,000, or 5%?"]))
    assert set(term_names(weights)) == {
        *("tom's", "$", "0", "or", "%", "?"),
        *("tom's $", "$ 0", "0 or", "or 0", "0 %", "% ?"),
    }
    assert weights_of(weights, "tom's $7 or 12.5 %?") == pytest.approx(weights_of(weights, "Tom's $1,000, or 5%?"))


@pytest.mark.parametrize(("marks", "words"), [("", {"a", "b"}), ("%", {"a", "%", "b"}), (",!", {"a", "b", ",", "!"})])
def test_which_marks_are_words_is_a_parameter(marks: str, words: set[str]) -> None:
    assert set(term_names(NGramWeights(1, min_df=1, marks=marks).fit(tokenize(["a % , b $ !"])))) == words


def test_n_grams_run_over_no_unknown_word_and_no_other_text() -> None:
    weights = NGramWeights(2, min_df=1).fit(tokenize(["a b", "c"]))
    assert term_names(weights) == ["a", "b", "c", "a b"]
    assert set(weights_of(weights, "a unknown b")) == {"a", "b"}
    assert weights.transform(tokenize(["a", "b"])).toarray()[:, 3].tolist() == [0, 0]


def test_a_skeleton_tells_only_the_most_frequent_words_apart() -> None:
    texts = ["Tom has 3 plums. How many plums has he?", "Ann has 7 cats. How many cats has she?", "Bo has 9. How many?"]
    weights = NGramWeights(3, min_df=1, n_frequent=5).fit(tokenize(texts))
    assert set(weights.vocabulary_) == {"has", "0", "how", "many", "?"}
    assert weights_of(weights, texts[0]) == pytest.approx(weights_of(weights, texts[1]))
    assert {"x has 0", "how many x", "x ?"} <= set(weights_of(weights, "Zoe has 4 yaks. How many yaks are left?"))


def test_rare_n_grams_are_left_out_unless_all_are_rare() -> None:
    assert term_names(NGramWeights(1, min_df=2).fit(tokenize(["a b", "a c"]))) == ["a"]
    assert term_names(NGramWeights(1, min_df=3).fit(tokenize(["a b", "a c"]))) == ["a", "b", "c"]


def test_too_many_n_grams_are_refused_with_the_way_out() -> None:
    texts = [" ".join(f"w{chr(97 + i)}{chr(97 + j)}" for i in range(26) for j in range(10))]
    with pytest.raises(ParameterError, match=r"n_max=9 over 260 words.*set n_frequent, or n_max=2"):
        NGramWeights(9).fit(tokenize(texts))
    assert len(NGramWeights(7).fit(tokenize(texts)).terms_)


def test_terms_of_the_greatest_length_are_not_confused() -> None:
    """Numbers up to the edge of 64 bits: 60 words and ten of them in a row."""
    words = [f"{chr(97 + i % 26)}{'xyz'[i // 26]}" for i in range(60)]
    weights = NGramWeights(10, min_df=1).fit(tokenize([" ".join(words)]))
    assert (weights.terms_ > 0).all()
    assert len(weights.terms_) == sum(60 - n + 1 for n in range(1, 11))
    assert " ".join(words[:10]) in term_names(weights)


def test_texts_without_any_token() -> None:
    weights = NGramWeights(2).fit(tokenize(["_", "__"]))
    assert weights.transform(tokenize(["_", "a word"])).shape == (2, 0)
    fitted = NGramWeights(2, min_df=1).fit(tokenize(["a word", "_"]))
    assert fitted.transform(tokenize(["_"])).nnz == 0
    assert fitted.transform(tokenize([])).shape == (0, 3)


def test_frequent_words_of_texts_without_any_token() -> None:
    assert NGramWeights(2, n_frequent=5).fit(tokenize(["_", "__"])).vocabulary_ == {}
    assert WordCounts(5).fit(tokenize(["_"])).transform(tokenize(["a"])).shape == (1, 0)


@given(train=st.lists(st.text(max_size=30), min_size=1, max_size=6), test=st.lists(st.text(max_size=30), max_size=4))
def test_any_text_has_a_row_of_length_one_or_zero(train: list[str], test: list[str]) -> None:
    weights = NGramWeights(2, min_df=1).fit(tokenize(train)).transform(tokenize(test))
    assert weights.dtype == np.float32
    assert weights.shape[0] == len(test)
    lengths = np.sqrt(weights.multiply(weights).sum(axis=1)).A1
    np.testing.assert_allclose(lengths[lengths > 0], 1, atol=1e-5)


def test_word_counts_are_those_of_the_text_and_of_its_last_sentence() -> None:
    counts = WordCounts(4).fit(tokenize(["the cat and the dog", "the cat or the fox", "a cat and the end", "cat"]))
    assert list(counts.vocabulary_) == ["cat", "the", "and", "a"]
    found = counts.transform(tokenize(["The the the cat. And a cat?", "nothing known"]))
    assert found.dtype == np.float64
    assert found.tolist() == [[2, 2, 1, 1, 1, 0, 1, 1], [0] * 8]
    assert WordCounts(4, cap=9).fit(tokenize(["the"])).transform(tokenize(["the the the"])).tolist() == [[3, 3]]


def test_word_frequency_is_that_of_texts_not_of_occurrences() -> None:
    assert list(WordCounts(1).fit(tokenize(["often often often", "here", "here"])).vocabulary_) == ["here"]


def test_fewer_words_than_are_counted() -> None:
    assert WordCounts(100).fit(tokenize(["two words"])).transform(tokenize(["words"])).shape == (1, 4)
