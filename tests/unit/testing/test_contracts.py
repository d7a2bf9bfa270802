"""Each contract suite passes what keeps the contract and names what is broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import NotFittedError, UnseenPromptError
from prompt_oirl.grading import Grade
from prompt_oirl.records import Prompt, Query
from prompt_oirl.testing import (
    check_embedder,
    check_grader,
    check_policy,
    check_reward_model,
    check_text_features,
)


class SuccessRates(BaseEstimator):
    """A reward model that keeps the contract: each prompt's success rate."""

    gives_probabilities = True

    def fit(self, demonstrations: Demonstrations) -> Any:
        self.rates_ = dict(zip(demonstrations.prompts, demonstrations.success_rates, strict=True))
        return self

    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        if not hasattr(self, "rates_"):
            raise NotFittedError("fit first")
        if not set(prompts) <= set(self.rates_):
            raise UnseenPromptError("unseen")
        return np.tile([self.rates_[prompt] for prompt in prompts], (len(queries), 1))


class FitReturnsNothing(SuccessRates):
    def fit(self, demonstrations: Demonstrations) -> Any:
        super().fit(demonstrations)


class FitChangesItsInput(SuccessRates):
    def fit(self, demonstrations: Demonstrations) -> Any:
        demonstrations.unscored[0, 0] += 1
        return super().fit(demonstrations)


class ScoresUnfitted(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return super().score(queries, prompts) if hasattr(self, "rates_") else np.zeros((len(queries), len(prompts)))


class ScoresTransposed(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return super().score(queries, prompts).T


class ScoresNaN(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return super().score(queries, prompts) * np.nan


class ProbabilitiesAboveOne(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return super().score(queries, prompts) + 1


class DependsOnTheBatch(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return super().score(queries, prompts) / len(queries)


class IgnoresTheOrderOfPrompts(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return super().score(queries, sorted(prompts, key=lambda prompt: prompt.id))


class DependsOnTheRow(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        return super().score(queries, prompts) * np.linspace(0.5, 1, len(queries))[:, None]


class Unseeded(SuccessRates):
    def fit(self, demonstrations: Demonstrations) -> Any:
        super().fit(demonstrations)
        self.rates_ = {prompt: rate * np.random.default_rng().random() for prompt, rate in self.rates_.items()}
        return self


class Remembers(SuccessRates):
    def fit(self, demonstrations: Demonstrations) -> Any:
        before = getattr(self, "rates_", {})
        super().fit(demonstrations)
        self.rates_ |= before
        return self


class UnseenPromptChangesTheRest(SuccessRates):
    def score(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        seen = [prompt for prompt in prompts if not hasattr(self, "rates_") or prompt in self.rates_]
        scores = super().score(queries, seen)
        if len(seen) == len(prompts):
            return scores
        return np.hstack([scores / 2, np.zeros((len(queries), len(prompts) - len(seen)))])


def test_a_reward_model_that_keeps_the_contract_passes() -> None:
    check_reward_model(SuccessRates)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (FitReturnsNothing, "fit returns self"),
        (FitChangesItsInput, "fit leaves its demonstrations"),
        (ScoresUnfitted, "score before fit raises NotFittedError"),
        (ScoresTransposed, r"scores are \(n_queries, n_prompts\)"),
        (ScoresNaN, "scores are finite"),
        (ProbabilitiesAboveOne, "from 0 to 1"),
        (DependsOnTheBatch, "a query alone"),
        (DependsOnTheRow, "permuted queries"),
        (IgnoresTheOrderOfPrompts, "permuted prompts"),
        (Unseeded, "made and fitted alike"),
        (Remembers, "forgets"),
        (UnseenPromptChangesTheRest, "unseen prompt does not change"),
    ],
)
def test_a_broken_reward_model_is_found_out(broken: Any, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_reward_model(broken)


class Lengths(BaseEstimator):
    """Text features that keep the contract."""

    def fit(self, texts: Sequence[str]) -> Any:
        self.mean_ = np.mean([len(text) for text in texts])
        return self

    def transform(self, texts: Sequence[str]) -> FloatArray:
        if not hasattr(self, "mean_"):
            raise NotFittedError("fit first")
        return np.array([[len(text) - self.mean_] for text in texts])


class CentredInTheBatch(Lengths):
    def transform(self, texts: Sequence[str]) -> FloatArray:
        made = super().transform(texts)
        return made - made.mean()


class SortsItsTexts(Lengths):
    def fit(self, texts: Any) -> Any:
        texts.sort()
        return super().fit(texts)


class SinglePrecision(Lengths):
    def transform(self, texts: Sequence[str]) -> FloatArray:
        return super().transform(texts).astype(np.float32)


class NeedsNoFit(Lengths):
    mean_ = 0.0


def test_text_features_that_keep_the_contract_pass() -> None:
    check_text_features(Lengths)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (CentredInTheBatch, "a text alone"),
        (SortsItsTexts, "leaves its texts"),
        (SinglePrecision, "float64"),
        (NeedsNoFit, "NotFittedError"),
    ],
)
def test_broken_text_features_are_found_out(broken: Any, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_text_features(broken)


class ByLength:
    """A policy that keeps the contract."""

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        return np.array([len(query.text) % len(prompts) for query in queries], dtype=np.int64)


class ByPosition(ByLength):
    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        return np.arange(len(queries)) % len(prompts)


class FloatChoices(ByLength):
    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> Any:
        return super().choose(queries, prompts).astype(float)


class OutOfRange(ByLength):
    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        return super().choose(queries, prompts) + 1


class ForgetsItsSeed(ByLength):
    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        return np.random.default_rng().integers(0, len(prompts), len(queries))


def test_a_policy_that_keeps_the_contract_passes() -> None:
    check_policy(lambda logs: ByLength())


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (ByPosition, "order of the queries"),
        (FloatChoices, "integers"),
        (OutOfRange, "indices"),
        (ForgetsItsSeed, "same choices"),
    ],
)
def test_a_broken_policy_is_found_out(broken: Any, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_policy(lambda logs: broken())


class Equality:
    """A grader that keeps the contract."""

    def grade(self, answer: str, gold: str) -> Grade:
        return Grade.of(answer.strip() == gold)


class ApprovesOfSilence(Equality):
    def grade(self, answer: str, gold: str) -> Grade:
        return Grade.CORRECT if not answer.strip() else super().grade(answer, gold)


class ApprovesOfAnything(Equality):
    def grade(self, answer: str, gold: str) -> Grade:
        return Grade.of(bool(answer.strip()))


class MindsWhiteSpace(Equality):
    def grade(self, answer: str, gold: str) -> Grade:
        return Grade.of(answer == gold)


def test_a_grader_that_keeps_the_contract_passes() -> None:
    check_grader(Equality)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (ApprovesOfSilence, "no answer is not correct"),
        (ApprovesOfAnything, "is wrong where"),
        (MindsWhiteSpace, "white space"),
    ],
)
def test_a_broken_grader_is_found_out(broken: Any, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_grader(broken)


class CharacterCounts:
    """An embedder that keeps the contract."""

    name = "counts"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[text.count(letter) for letter in "aeiou"] for text in texts], dtype=np.float32)


class Constant(CharacterCounts):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.ones((len(texts), 3), np.float32)


class DoublePrecision(CharacterCounts):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return super().embed(texts).astype(np.float64)


class Nameless(CharacterCounts):
    name = " "


class BatchNormalised(CharacterCounts):
    def embed(self, texts: Sequence[str]) -> FloatArray:
        return super().embed(texts) / np.float32(len(texts))


def test_an_embedder_that_keeps_the_contract_passes() -> None:
    check_embedder(CharacterCounts)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (Constant, "different texts"),
        (DoublePrecision, "float32"),
        (Nameless, "has a name"),
        (BatchNormalised, "a text alone"),
    ],
)
def test_a_broken_embedder_is_found_out(broken: Any, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_embedder(broken)
