from __future__ import annotations

from pathlib import Path

import pytest

from prompt_oirl.collect.plan.tokens import (
    CharacterCounter,
    MeasuredCounter,
    TokenCounter,
    TokenizerCounter,
    answer_estimate,
    counter_for,
)
from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.outcomes import Completion


def request(*contents: str) -> list[Message]:
    return [Message("user", content) for content in contents]


def answered(prompt_tokens: int | None) -> Completion:
    return Completion("yes", "m", prompt_tokens=prompt_tokens)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """Write a tokenizer of words, which cuts at two of them as saved ones may."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"one": 0, "[UNK]": 1}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_truncation(2)
    made.enable_padding(length=8)
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize(
    ("contents", "n_tokens"), [(("abcd",), 5), (("abcde",), 6), (("abcd", "abcd"), 10), (("苹果多少",), 7)]
)
def test_characters_are_counted_by_their_bytes(contents: tuple[str, ...], n_tokens: int) -> None:
    counter = CharacterCounter()
    assert counter.count(request(*contents)) == n_tokens
    assert counter.basis == "estimated: 4 characters per token"


def test_tokens_are_measured_on_what_the_server_counted() -> None:
    examples = [(request("x" * 100), answered(50)), (request("x" * 300), answered(150)), (request("y"), answered(None))]
    counter = MeasuredCounter.fit(examples)
    assert counter.count(request("x" * 7)) == 4
    assert counter.basis == "measured on 2 stored calls"


def test_nothing_counted_is_nothing_to_measure_on() -> None:
    with pytest.raises(ParameterError, match="at least one call that the server counted"):
        MeasuredCounter.fit([(request("y"), answered(None))])


def test_a_tokenizer_counts_all_of_a_text_and_four_more_a_message(tokenizer: Path) -> None:
    for path in (tokenizer, tokenizer / "tokenizer.json"):
        counter = TokenizerCounter(path)
        assert counter.count(request("one two three", "four")) == 3 + 1 + 2 * 4
        assert counter.basis == "counted with tokenizer.json"


def test_a_tokenizer_that_is_not_there_or_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"tokenizer\.json is no file"):
        TokenizerCounter(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"tokenizer\.json: is no tokenizer"):
        TokenizerCounter(tmp_path)


def test_the_best_counter_at_hand_is_taken(tokenizer: Path) -> None:
    examples = [(request("x" * 100), answered(50))] * 10
    assert isinstance(counter_for(tokenizer, examples), TokenizerCounter)
    assert counter_for(None, examples) == MeasuredCounter(0.5, 10)
    assert counter_for(None, examples[:9]) == CharacterCounter()
    assert counter_for(None, [*examples[:9], (request("x"), answered(None))]) == CharacterCounter()
    assert counter_for() == CharacterCounter()


def test_no_more_examples_are_read_than_needed() -> None:
    examples = iter([(request("x" * 4), answered(2))] * 2001)
    assert counter_for(None, examples) == MeasuredCounter(0.5, 2000)
    assert len(list(examples)) == 1


def test_an_answer_is_estimated_like_a_request() -> None:
    assert answer_estimate(CharacterCounter(), "12345678") == 6
    assert answer_estimate(CharacterCounter(), " \n") == 0


def test_counters_are_counters(tokenizer: Path) -> None:
    assert all(
        isinstance(each, TokenCounter)
        for each in (CharacterCounter(), MeasuredCounter(0.3, 5), TokenizerCounter(tokenizer))
    )
