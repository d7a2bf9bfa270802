from __future__ import annotations

import re

import pytest

from prompt_oirl.records import Query
from prompt_oirl.splits import query_groups
from prompt_oirl.testing.problems import Problem, draw_problems


@pytest.fixture(scope="module")
def problems() -> tuple[Problem, ...]:
    return draw_problems(2000, seed=0)


def _calculate(working: str) -> int:
    """Work out sums of products of numbers and of one pair of parentheses, without eval."""
    working = working.replace(",", "").replace(" ", "")
    working = re.sub(r"\(([^()]*)\)", lambda inner: str(_calculate(inner[1])), working)
    if match := re.fullmatch(r"(.+)([+−])([^+−]+)", working):
        left, right = _calculate(match[1]), _calculate(match[3])
        return left + right if match[2] == "+" else left - right
    if match := re.fullmatch(r"(.+)([×÷])([^×÷]+)", working):
        left, right = _calculate(match[1]), _calculate(match[3])
        return left * right if match[2] == "×" else left // right
    return int(working)


def test_the_gold_answer_is_what_the_working_comes_to(problems: tuple[Problem, ...]) -> None:
    assert [_calculate(problem.working) for problem in problems] == [problem.gold for problem in problems]


def test_gold_answers_are_positive_and_slips_are_wrong(problems: tuple[Problem, ...]) -> None:
    assert min(problem.gold for problem in problems) > 0
    assert all(problem.slip != problem.gold for problem in problems)


def test_the_numbers_of_the_working_are_in_the_text(problems: tuple[Problem, ...]) -> None:
    numbers = re.compile(r"\d[\d,]*\d|\d")
    assert all(set(numbers.findall(p.working)) <= set(numbers.findall(p.text)) for p in problems)


def test_texts_are_distinct_and_filled_in(problems: tuple[Problem, ...]) -> None:
    assert len({problem.text for problem in problems}) == 2000
    assert not any(re.search(r"[{}]|  ", problem.text) for problem in problems)
    assert all(problem.text.endswith("?") for problem in problems)


def test_traits_can_be_read_off_the_text(problems: tuple[Problem, ...]) -> None:
    irrelevant = re.compile(r"years|minutes|degrees|lives at")
    assert all(bool(irrelevant.search(problem.text)) == problem.has_irrelevant_fact for problem in problems)
    biggest = [max(int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", p.text)) for p in problems]
    assert all((number >= 110) == p.has_large_numbers for number, p in zip(biggest, problems, strict=True))
    assert {problem.kind for problem in problems} == {"addition", "comparison", "multiplication", "several steps"}


def test_some_problems_are_near_duplicates(problems: tuple[Problem, ...]) -> None:
    n_groups = len(set(query_groups([Query(problem.text) for problem in problems]).tolist()))
    assert 0.08 < 1 - n_groups / 2000 < 0.16


def test_problems_are_seeded(problems: tuple[Problem, ...]) -> None:
    assert draw_problems(50, seed=0) == problems[:50]
    assert draw_problems(50, seed=1) != problems[:50]
