"""From an answer to a grade: correct, wrong, or unparsed, which is never wrong."""

from __future__ import annotations

from prompt_oirl.grading.choice import ChoiceGrader
from prompt_oirl.grading.function import CallableGrader
from prompt_oirl.grading.golds import check_golds
from prompt_oirl.grading.names import GRADER_NAMES, get_grader
from prompt_oirl.grading.numeric import NumericGrader
from prompt_oirl.grading.protocol import Grade, Grader
from prompt_oirl.grading.published import PublishedGrader
from prompt_oirl.grading.text import ExactGrader, RegexGrader

__all__ = [
    "GRADER_NAMES",
    "CallableGrader",
    "ChoiceGrader",
    "ExactGrader",
    "Grade",
    "Grader",
    "NumericGrader",
    "PublishedGrader",
    "RegexGrader",
    "check_golds",
    "get_grader",
]
