from __future__ import annotations

import pytest

from prompt_oirl.grading import CallableGrader, get_grader
from prompt_oirl.testing import check_grader

GOLDS = {
    "choice": ("A", "B", "D"),
    "exact": ("yes", "no", "42"),
    "exact:folded": ("yes", "no", "42"),
    "numeric": ("42", "-7", "1,250", "0.5"),
    "published": ("42", "7", "0.5"),
    r"regex:(-?\d+)": ("42", "7", "1250"),
}


@pytest.mark.parametrize("name", GOLDS)
def test_graders_keep_the_contract(name: str) -> None:
    check_grader(lambda: get_grader(name), golds=GOLDS[name])


def test_a_callable_keeps_the_contract() -> None:
    check_grader(lambda: CallableGrader(lambda answer, gold: answer.strip() == gold))
