"""Learn from logs which prompt works for which query, and recommend one per query without calling the LLM.

```python
import prompt_oirl

logs = prompt_oirl.read_demonstrations("logs.jsonl")
train, test = logs.split(test_size=0.3, seed=0)
recommender = prompt_oirl.Recommender().fit(train)
print(recommender.evaluate(test))
recommender.recommend("Weng earns $12 an hour for babysitting. ...")
recommender.save("recommender/")
```

Names are imported when they are first used: importing the package does no work.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
    from prompt_oirl.collect.client.openai_client import OpenAIClient
    from prompt_oirl.collect.client.protocol import LLMClient
    from prompt_oirl.collect.order import Order
    from prompt_oirl.demonstrations import Demonstrations
    from prompt_oirl.errors import PromptOIRLError
    from prompt_oirl.evaluation import (
        CostCurve,
        DataSizeCurve,
        Estimate,
        Evaluation,
        Headroom,
        OffPolicyEvaluation,
        Portfolio,
        RiskCoverage,
        cost_curve,
        cross_validate,
        data_size_curve,
        evaluate,
        headroom,
        off_policy_values,
        portfolio,
        risk_coverage,
    )
    from prompt_oirl.features.embedders import EmbedderFeatures, PrecomputedEmbedder
    from prompt_oirl.features.lexical import LexicalFeatures
    from prompt_oirl.features.protocol import Embedder, TextFeatures
    from prompt_oirl.features.similarity import TextSimilarity
    from prompt_oirl.grading import CallableGrader, Grade, Grader, get_grader
    from prompt_oirl.inspection import inspect
    from prompt_oirl.policies import BestOfN, BestSinglePrompt, Oracle, Policy, RandomPrompt
    from prompt_oirl.prompts import read_prompts, write_prompts
    from prompt_oirl.recommender import Recommendation, Recommender
    from prompt_oirl.recommender.off_policy import evaluate_off_policy
    from prompt_oirl.records import Demonstration, Message, Prompt, Query, Question
    from prompt_oirl.report import Findings, make_findings, write_report
    from prompt_oirl.reward.advantage import AdvantageModel
    from prompt_oirl.reward.baselines import AdditiveModel, Lookup, PromptMeans
    from prompt_oirl.reward.calibration import CalibratedModel
    from prompt_oirl.reward.joint import JointModel, PublishedRecipe
    from prompt_oirl.reward.kernel_advantage import KernelAdvantage
    from prompt_oirl.reward.logistic import LogisticModel
    from prompt_oirl.reward.neighbours import NearestNeighbours
    from prompt_oirl.reward.protocol import RewardModel
    from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
    from prompt_oirl.runs.export import demonstrations_of
    from prompt_oirl.runs.grading import grade_run
    from prompt_oirl.runs.outcomes import Completion, Failure
    from prompt_oirl.runs.run import Run
    from prompt_oirl.selection import Candidate
    from prompt_oirl.sources.decision_rows import read_logged_decisions
    from prompt_oirl.sources.logged_decisions import LoggedDecisions
    from prompt_oirl.sources.queries import read_queries
    from prompt_oirl.sources.release import Release
    from prompt_oirl.sources.tabular import read_demonstrations, write_demonstrations

__all__ = [
    "AdaptiveConcurrency",
    "AdditiveModel",
    "AdvantageModel",
    "BestOfN",
    "BestSinglePrompt",
    "CalibratedModel",
    "CallableGrader",
    "Candidate",
    "Completion",
    "CostCurve",
    "DataSizeCurve",
    "Demonstration",
    "Demonstrations",
    "Embedder",
    "EmbedderFeatures",
    "Estimate",
    "Evaluation",
    "Failure",
    "Findings",
    "Grade",
    "Grader",
    "Headroom",
    "JointModel",
    "KernelAdvantage",
    "LLMClient",
    "LexicalFeatures",
    "LoggedDecisions",
    "LogisticModel",
    "Lookup",
    "Message",
    "NearestNeighbours",
    "OffPolicyEvaluation",
    "OpenAIClient",
    "Oracle",
    "Order",
    "Policy",
    "Portfolio",
    "PrecomputedEmbedder",
    "Prompt",
    "PromptMeans",
    "PromptOIRLError",
    "PublishedRecipe",
    "Query",
    "Question",
    "RandomPrompt",
    "Recommendation",
    "Recommender",
    "Release",
    "RewardModel",
    "RiskCoverage",
    "Run",
    "RunConfiguration",
    "SamplingParameters",
    "TextFeatures",
    "TextSimilarity",
    "cost_curve",
    "cross_validate",
    "data_size_curve",
    "demonstrations_of",
    "evaluate",
    "evaluate_off_policy",
    "get_grader",
    "grade_run",
    "headroom",
    "inspect",
    "make_findings",
    "off_policy_values",
    "portfolio",
    "read_demonstrations",
    "read_logged_decisions",
    "read_prompts",
    "read_queries",
    "risk_coverage",
    "write_demonstrations",
    "write_prompts",
    "write_report",
]

_MODULES = {
    "collect.client.openai_client": ("OpenAIClient",),
    "collect.client.concurrency": ("AdaptiveConcurrency",),
    "collect.order": ("Order",),
    "collect.client.protocol": ("LLMClient",),
    "demonstrations": ("Demonstrations",),
    "errors": ("PromptOIRLError",),
    "evaluation": (
        "CostCurve",
        "DataSizeCurve",
        "Estimate",
        "Evaluation",
        "Headroom",
        "OffPolicyEvaluation",
        "Portfolio",
        "RiskCoverage",
        "cost_curve",
        "cross_validate",
        "data_size_curve",
        "evaluate",
        "headroom",
        "off_policy_values",
        "portfolio",
        "risk_coverage",
    ),
    "features.embedders": ("EmbedderFeatures", "PrecomputedEmbedder"),
    "features.lexical": ("LexicalFeatures",),
    "features.protocol": ("Embedder", "TextFeatures"),
    "features.similarity": ("TextSimilarity",),
    "grading": ("CallableGrader", "Grade", "Grader", "get_grader"),
    "inspection": ("inspect",),
    "policies": ("BestOfN", "BestSinglePrompt", "Oracle", "Policy", "RandomPrompt"),
    "prompts": ("read_prompts", "write_prompts"),
    "recommender": ("Recommendation", "Recommender"),
    "recommender.off_policy": ("evaluate_off_policy",),
    "records": ("Demonstration", "Message", "Prompt", "Query", "Question"),
    "report": ("Findings", "make_findings", "write_report"),
    "reward.advantage": ("AdvantageModel",),
    "reward.baselines": ("AdditiveModel", "Lookup", "PromptMeans"),
    "reward.calibration": ("CalibratedModel",),
    "reward.joint": ("JointModel", "PublishedRecipe"),
    "reward.kernel_advantage": ("KernelAdvantage",),
    "reward.logistic": ("LogisticModel",),
    "reward.neighbours": ("NearestNeighbours",),
    "reward.protocol": ("RewardModel",),
    "runs.configuration": ("RunConfiguration", "SamplingParameters"),
    "runs.export": ("demonstrations_of",),
    "runs.grading": ("grade_run",),
    "runs.outcomes": ("Completion", "Failure"),
    "runs.run": ("Run",),
    "selection": ("Candidate",),
    "sources.decision_rows": ("read_logged_decisions",),
    "sources.logged_decisions": ("LoggedDecisions",),
    "sources.queries": ("read_queries",),
    "sources.release": ("Release",),
    "sources.tabular": ("read_demonstrations", "write_demonstrations"),
}
_MODULE_OF_NAME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value: object = getattr(import_module(f"{__name__}.{_MODULE_OF_NAME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
