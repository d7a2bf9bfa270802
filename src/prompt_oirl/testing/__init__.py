"""To test with: a synthetic world with a known truth, a simulated LLM server, and contract suites for each protocol."""

from __future__ import annotations

from prompt_oirl.testing.chat_completions import ChatRequest, content_hash
from prompt_oirl.testing.contracts import (
    check_embedder,
    check_grader,
    check_policy,
    check_reward_model,
    check_text_features,
)
from prompt_oirl.testing.llm_answerers import Answerer, CallableAnswerer
from prompt_oirl.testing.llm_client_contract import check_llm_client, check_llm_failures
from prompt_oirl.testing.llm_counts import Counts
from prompt_oirl.testing.llm_faults import FAULT_TEXT, Burst, Faults
from prompt_oirl.testing.replay import ReplayAnswerer
from prompt_oirl.testing.simulated_llm import SimulatedLLM
from prompt_oirl.testing.world import SyntheticWorld
from prompt_oirl.testing.world_answerer import WorldAnswerer

__all__ = [
    "FAULT_TEXT",
    "Answerer",
    "Burst",
    "CallableAnswerer",
    "ChatRequest",
    "Counts",
    "Faults",
    "ReplayAnswerer",
    "SimulatedLLM",
    "SyntheticWorld",
    "WorldAnswerer",
    "check_embedder",
    "check_grader",
    "check_llm_client",
    "check_llm_failures",
    "check_policy",
    "check_reward_model",
    "check_text_features",
    "content_hash",
]
