"""Which prompts to keep: the smallest set that keeps most of what choosing per query achieves."""

from __future__ import annotations

from prompt_oirl.evaluation.portfolio.by_trials import portfolio_by_trials
from prompt_oirl.evaluation.portfolio.contributions import Contribution
from prompt_oirl.evaluation.portfolio.one_more import OneMorePrompt
from prompt_oirl.evaluation.portfolio.portfolio import Portfolio, PortfolioSize, portfolio

__all__ = ["Contribution", "OneMorePrompt", "Portfolio", "PortfolioSize", "portfolio", "portfolio_by_trials"]
