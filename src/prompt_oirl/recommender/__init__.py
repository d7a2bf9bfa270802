"""The recommender: what a user fits on logs, asks for prompts, saves and loads."""

from __future__ import annotations

from prompt_oirl.recommender.prepared import PreparedRecommender
from prompt_oirl.recommender.recommendation import Recommendation, ScoredPrompt
from prompt_oirl.recommender.recommender import Recommender

__all__ = ["PreparedRecommender", "Recommendation", "Recommender", "ScoredPrompt"]
