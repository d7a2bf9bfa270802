from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, ParameterError
from prompt_oirl.grading import Grade, NumericGrader, PublishedGrader
from prompt_oirl.grading.numeric import read_number
from prompt_oirl.sources.release import Release

CORRECT, WRONG, UNPARSED = Grade.CORRECT, Grade.WRONG, Grade.UNPARSED

SIGNS = [
    ("-5", "-5", CORRECT),
    ("-5", "5", WRONG),
    ("5", "-5", WRONG),
    ("The change is −7 degrees", "-7", CORRECT),  # U+2212
    ("The change is –7 degrees", "-7", CORRECT),  # en dash
    ("-$5", "-5", CORRECT),
    ("$-5", "-5", CORRECT),
    ("= - 5", "-5", CORRECT),
    ("negative 5", "-5", CORRECT),
    ("(-5)", "-5", CORRECT),
    ("x=-5", "-5", CORRECT),
    ("7 - 5 = 2", "2", CORRECT),
    ("between 3-5", "3", CORRECT),
    ("- 5 apples", "5", CORRECT),
    ("- $5", "5", CORRECT),
    ("-0", "0", CORRECT),
]
SEPARATORS_AND_UNITS = [
    ("5,000", "5000", CORRECT),
    ("5,000", "1,000", WRONG),
    ("1,234,567.50", "1234567.5", CORRECT),
    ("12,34,567", "1234567", CORRECT),
    ("10\u202f000", "10000", CORRECT),
    ("10{,}000", "10000", CORRECT),
    (r"10\,000", "10000", CORRECT),
    ("18.", "18", CORRECT),
    ("18.00", "18", CORRECT),
    (".75", "0.75", CORRECT),
    ("$18", "18", CORRECT),
    ("18€", "18", CORRECT),
    ("Rs.500", "500", CORRECT),
    ("18kg", "18", CORRECT),
    ("$18/day", "18", CORRECT),
    ("**18**", "18", CORRECT),
    ("He finished in 6th place", "6", CORRECT),
    ("50%", "50", CORRECT),
    ("50%", "0.5", CORRECT),
    ("50%", "5", WRONG),
    ("50%", "5000%", WRONG),
    ("0.5", "50%", CORRECT),
    ("50 percent", "50%", CORRECT),
    ("2 million", "2,000,000", CORRECT),
    ("2 million", "2", CORRECT),
    ("2 million", "2 thousand", WRONG),
    ("1000001", "1000000", WRONG),
    ("12345678901234567891", "12345678901234567890", WRONG),
    ("3.3333333", "10/3", CORRECT),
    ("3.33", "10/3", WRONG),
    ("1e-12", "0", CORRECT),
]
FRACTIONS_AND_POWERS = [
    ("3/4", "0.75", CORRECT),
    ("-3/4", "-0.75", CORRECT),
    ("1 1/2", "1.5", CORRECT),
    ("1½ hours", "1.5", CORRECT),
    ("½", "0.5", CORRECT),
    ("3/4", "3", WRONG),
    ("1.5e3", "1500", CORRECT),
    ("2 × 10^5", "200000", CORRECT),
    ("2*10**5", "200000", CORRECT),
    ("1e999999999", "1", WRONG),
]
LATEX = [
    (r"\boxed{18}", "18", CORRECT),
    (r"so $\boxed{\frac{3}{4}}$ in 7 steps", "0.75", CORRECT),
    (r"\boxed{-\dfrac{3}{4}}", "-0.75", CORRECT),
    (r"\boxed{1\frac{1}{2}}", "1.5", CORRECT),
    (r"\boxed{\frac34}", "0.75", CORRECT),
    (r"\boxed{18 \text{ dollars}}", "18", CORRECT),
    (r"\boxed{1{,}250}", "1250", CORRECT),
    (r"\boxed{\$18}", "18", CORRECT),
    (r"\boxed{18\%}", "18", CORRECT),
    (r"\boxed{x = 5}", "5", CORRECT),
    (r"\boxed{3 \times 10^{5}}", "300000", CORRECT),
    (r"\boxed{3\times10^5}", "300000", CORRECT),
    (r"\boxed{\left(-3\right)}", "-3", CORRECT),
    (r"\boxed{1} then \boxed{2}", "2", CORRECT),
    (r"\boxed{50^\circ}", "50", CORRECT),
    (r"\( 18 \)", "18", CORRECT),
    (r"\boxed{18", "18", CORRECT),
    ("the area is 18 cm^2", "18", CORRECT),
]
WHICH_NUMBER = [
    ("18 dollars. (3 steps)", "18", CORRECT),
    ("The answer is 18. I used 3 steps.", "18", CORRECT),
    ("The answer is 18 dollars (3 steps)", "18", CORRECT),
    ("So the answer is 5 + 3 = 8.", "8", CORRECT),
    ("The answer is that she sold 18 eggs. That took 2 days.", "18", CORRECT),
    ("The answer is: $18.\nLet me know if you have 2 more.", "18", CORRECT),
    ("Final answer: 18\nChecked 2 times", "18", CORRECT),
    ("Answer:\n\n**$18**\n\nChecked 2 times", "18", CORRECT),
    ("1. What did he buy?\nAnswer: 5\n2. What did he pay?\nAnswer: 7\nHe has 3 left.", "3", CORRECT),
    ("The answer is not 5 but 6.", "6", CORRECT),
    ("The answer is 12. No, the answer is 18.", "18", CORRECT),
    ("16 - 3 - 4 = <<16-3-4=9>>9\n#### 18", "18", CORRECT),
    ("#### Step 3: sum\nThe total is 8", "8", CORRECT),
    ("#### 1. Add\nThe total is 8", "8", CORRECT),
    ("9 × $2 = $18 for 9 eggs", "18", CORRECT),
    ("Gerald has $110 left after spending $100.", "110", CORRECT),
    ("The total cost of 6 erasers and 8 pencils is $36.", "36", CORRECT),
    ("6 erasers and 8 pencils cost $36 in total.", "36", CORRECT),
    ("She has 4 red and 5 blue ones, for a total of 9 pens.", "9", CORRECT),
    ("After 3 weeks, it grew 10 inches in all 4 pots.", "10", CORRECT),
    ("1. 16 - 3 = 13\n2. 13 - 4 = 9\n3. She makes 18 dollars", "18", CORRECT),
    ("She makes 18 dollars.\nStep 3: done", "18", CORRECT),
    ("(18)", "18", CORRECT),
    ("The answer is:\n1. 16 - 3 = 13\n2. 13 - 4 = 9\nSo she sells 9", "9", CORRECT),
]
NOT_READ = [
    ("", "5", UNPARSED),
    ("   \n", "5", UNPARSED),
    ("five", "5", UNPARSED),
    ("I cannot answer that.", "5", UNPARSED),
    ("at 10:30", "30", UNPARSED),
    ("on 1/2/2026", "2026", UNPARSED),
    ("version 1.2.3", "3", UNPARSED),
    ("x2", "2", UNPARSED),
    ("10^5", "5", UNPARSED),
    ("1/0", "1", UNPARSED),
]
TABLE = SIGNS + SEPARATORS_AND_UNITS + FRACTIONS_AND_POWERS + LATEX + WHICH_NUMBER + NOT_READ


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 80


@pytest.mark.parametrize(("answer", "gold", "grade"), TABLE)
def test_table(answer: str, gold: str, grade: Grade) -> None:
    assert NumericGrader().grade(answer, gold) is grade


def test_tolerances_are_parameters() -> None:
    assert NumericGrader(relative_tolerance=0.01).grade("3.33", "10/3") is CORRECT
    assert NumericGrader(relative_tolerance=0, absolute_tolerance=0).grade("0.33", "0.330000001") is WRONG
    assert NumericGrader(absolute_tolerance=0.5).grade("0.3", "0") is CORRECT
    with pytest.raises(ParameterError, match="relative_tolerance=-1"):
        NumericGrader(relative_tolerance=-1)


def test_a_gold_answer_without_a_number_is_an_error() -> None:
    with pytest.raises(DataError, match="'five' has no number"):
        NumericGrader().grade("5", "five")


numbers = st.decimals(min_value=-(10**12), max_value=10**12, places=2).filter(lambda number: abs(number) > 1)
layouts = st.sampled_from(
    ["{}", "{}.", "The answer is {}.", "#### {}", r"\boxed{{{}}}", "**{}**", "= {}", "So she has {} left. (3 steps)"]
)


def written(number: Decimal, currency: str, separated: bool) -> str:
    return f"{'-' if number < 0 else ''}{currency}{abs(number):{',' if separated else ''}.2f}"


@given(numbers, st.sampled_from(["", "$", "€", "£"]), st.booleans(), layouts)
def test_a_number_equals_itself_however_it_is_written(
    number: Decimal, currency: str, separated: bool, layout: str
) -> None:
    answer = layout.format(written(number, currency, separated))
    grader = NumericGrader()
    assert grader.grade(answer, str(number)) is CORRECT
    assert grader.grade(str(number), answer) is CORRECT
    assert grader.grade(answer, str(-number)) is WRONG


@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions(top: int, bottom: int) -> None:
    value = Fraction(top, bottom)
    for answer in (f"{top}/{bottom}", rf"\boxed{{\frac{{{top}}}{{{bottom}}}}}", f"the answer is {top} / {bottom}"):
        assert NumericGrader().grade(answer, f"{float(value):.12f}") is CORRECT
        assert NumericGrader().grade(answer, f"{float(value) + 1:.12f}") is WRONG


@given(st.text(max_size=200))
def test_any_text_is_graded_without_an_error(answer: str) -> None:
    assert NumericGrader().grade(answer, "18") in Grade


@pytest.mark.parametrize(
    ("answer", "has_number"),
    [
        ("1 " * 20_000, True),
        ("(" * 20_000, False),
        ("9" * 20_000, True),
        (r"\boxed{" * 5_000, False),
        ("= " * 20_000, False),
    ],
    ids=["numbers", "brackets", "digits", "boxes", "equals"],
)
def test_long_answers_are_read(answer: str, has_number: bool) -> None:
    assert (read_number(answer) is not None) is has_number


@pytest.mark.real_logs
def test_the_published_labels_and_what_is_wrong_with_them(data_folder: Path) -> None:
    """Every recorded label is the published grader's; reading numbers as they are written changes some of them."""
    release = Release(data_folder)
    golds = [question.gold for question in release.questions("gsm8k").select("test")]
    trials = release.trials("llama-2-7b-chat", "gsm8k")
    counts = {"published": 0, "to right": 0, "to wrong": 0, "unparsed": 0}
    for prompt in release.prompts:
        labels = trials.labels[trials.n_train_rows :, prompt.index]
        for answer, gold, label in zip(release.answers("gsm8k", prompt.alias), golds, labels, strict=True):
            counts["published"] += PublishedGrader().grade(answer, gold).reward == label
            grade = NumericGrader().grade(answer, gold)
            counts["to right"] += grade is CORRECT and label == 0
            counts["to wrong"] += grade is WRONG and label == 1
            counts["unparsed"] += grade is UNPARSED
    assert counts == {"published": 16_000, "to right": 843, "to wrong": 202, "unparsed": 34}
