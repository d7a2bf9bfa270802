"""The sections of the page, each made of the findings and nothing else."""

from __future__ import annotations

from prompt_oirl.report.findings import Findings
from prompt_oirl.report.page_parts import Section
from prompt_oirl.report.sections.audit import audit_section, left_out_section
from prompt_oirl.report.sections.data_size import data_size_section
from prompt_oirl.report.sections.gain import gain_section
from prompt_oirl.report.sections.headroom import headroom_section
from prompt_oirl.report.sections.limits import limits_section
from prompt_oirl.report.sections.prompts import portfolio_section, prompts_section
from prompt_oirl.report.sections.scores import calibration_section, risk_section
from prompt_oirl.report.sections.spending import cost_section

__all__ = ["sections_of"]


def sections_of(findings: Findings) -> tuple[Section, ...]:
    """Return the sections in the order of the page."""
    makers = (
        gain_section,
        headroom_section,
        prompts_section,
        calibration_section,
        risk_section,
        data_size_section,
        audit_section,
        cost_section,
        portfolio_section,
        left_out_section,
        limits_section,
    )
    return tuple(make(findings) for make in makers)
