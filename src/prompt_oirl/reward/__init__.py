"""Reward models Υ: score every query × prompt from demonstrations, without calling an LLM."""

from __future__ import annotations

__all__ = ["saved_types"]


def saved_types() -> dict[str, type]:
    """Return, by name, every type that a fitted reward model is made of: what may be saved and loaded.

    Not among them: `PrecomputedEmbedder`, which knows its own texts only, and `OpenAIEmbedder`, so that what is loaded
    reaches no network.
    """
    from prompt_oirl.features.cache import CachedEmbedder, EmbeddingCache
    from prompt_oirl.features.embedders import EmbedderFeatures
    from prompt_oirl.features.fastembed_embedder import FastEmbedEmbedder
    from prompt_oirl.features.lexical import LexicalFeatures
    from prompt_oirl.features.ngrams import NGramWeights, WordCounts
    from prompt_oirl.features.query_prompt import QueryPromptFeatures
    from prompt_oirl.features.scaling import Scaling
    from prompt_oirl.features.similarity import TextPoints, TextSimilarity, UnitSpread
    from prompt_oirl.features.terms import TermProjection
    from prompt_oirl.reward.advantage import AdvantageModel
    from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
    from prompt_oirl.reward.calibration import CalibratedModel, Calibration
    from prompt_oirl.reward.joint import JointModel, PublishedRecipe
    from prompt_oirl.reward.kernel_advantage import KernelAdvantage, SolvedBlock
    from prompt_oirl.reward.learners import LightGBMClassifier, XGBoostClassifier
    from prompt_oirl.reward.logistic import LogisticModel
    from prompt_oirl.reward.neighbours import NearestNeighbours
    from prompt_oirl.reward.trees import SmallTrees

    features = (CachedEmbedder, EmbedderFeatures, EmbeddingCache, FastEmbedEmbedder, LexicalFeatures)
    parts = (
        Calibration,
        LightGBMClassifier,
        NGramWeights,
        QueryPromptFeatures,
        Scaling,
        SmallTrees,
        SolvedBlock,
        TextPoints,
        TextSimilarity,
        UnitSpread,
        WordCounts,
        TermProjection,
        XGBoostClassifier,
    )
    baselines = (AdditiveModel, LogisticModel, Lookup, NearestNeighbours, PromptMeans)
    models = (AdvantageModel, CalibratedModel, JointModel, KernelAdvantage, PublishedRecipe)
    return {each.__name__: each for each in (*features, *parts, *baselines, *models)}
