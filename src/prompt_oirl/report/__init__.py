"""The report: whether choosing the prompt per query pays, for a manager and a statistician, on one page."""

from __future__ import annotations

from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.make import make_findings
from prompt_oirl.report.page import write_report
from prompt_oirl.report.verdict import Verdict, give_verdict

__all__ = ["Findings", "Missing", "Verdict", "give_verdict", "make_findings", "write_report"]
