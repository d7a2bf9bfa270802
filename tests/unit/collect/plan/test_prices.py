from __future__ import annotations

from pathlib import Path

import pytest

from prompt_oirl.collect.plan.prices import Price, PriceFile
from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError


def written(folder: Path, text: str, suffix: str = ".yaml") -> Path:
    path = folder / f"prices{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "gpt-4o-mini: {input: 0.15, output: 0.6}\nllama:7b: {input: 0, output: 0}\n"),
        (".yml", "gpt-4o-mini:\n  input: 0.15\n  output: 0.6\n'llama:7b': {output: 0, input: 0}\n"),
        (".json", '{"gpt-4o-mini": {"input": 0.15, "output": 6e-1}, "llama:7b": {"input": 0, "output": 0}}'),
    ],
)
def test_prices_are_read_by_model(tmp_path: Path, suffix: str, text: str) -> None:
    prices = PriceFile.read(written(tmp_path, text, suffix))
    assert prices.prices == {"gpt-4o-mini": Price(0.15, 0.6), "llama:7b": Price(0, 0)}
    assert prices.of("gpt-4o-mini") == Price(0.15, 0.6)
    assert prices.of("llama:7b") == Price(0, 0)


def test_a_price_is_per_million_tokens() -> None:
    assert Price(0.15, 0.6).cost(2_000_000, 500_000) == pytest.approx(0.6)
    assert Price(1, 1).cost(0, 0) == 0
    assert str(Price(0.15, 0.6)) == "0.15 USD per million tokens asked, 0.6 answered"


def test_a_model_without_a_price_is_named_with_the_file_and_the_closest_name(tmp_path: Path) -> None:
    prices = PriceFile.read(written(tmp_path, "gpt-4o-mini: {input: 0.15, output: 0.6}"))
    assert prices.of("gpt-4o-mni") is None
    assert prices.missing("gpt-4o-mni") == (
        f"{prices.path} has no price of 'gpt-4o-mni'; did you mean 'gpt-4o-mini'? "
        "add a line gpt-4o-mni: {input: USD per million tokens, output: USD per million tokens}"
    )
    assert "no price of 'mistral'; add a line mistral: {input" in prices.missing("mistral")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a mapping of each model's name"),
        ("- a", "a mapping of each model's name"),
        ("{}", "a mapping of each model's name"),
        ("a: {input: 1, output: 2", "cannot be read as yaml"),
        ("4: {input: 1, output: 2}", "4 is no model's name; put quotes around it"),
        ("[a]: {input: 1, output: 2}", "cannot be read as yaml"),
        ("a: 3", "the price of 'a' must be {input: USD"),
        ("a: {inptu: 1, output: 2}", "the key 'inptu'; known are input, output; did you mean 'input'?"),
        ("a: {prompt: 1, output: 2}", "did you mean 'input'?"),
        ("a: {input: 1, output: 2, currency: EUR}", "the key 'currency'; known are input, output"),
        ("a: {input: 1}", "the price of 'a' has no 'output'; write 0 where it costs nothing"),
        ("a: {input: -1, output: 2}", "'input' is a price in USD .* got -1"),
        ("a: {input: 1, output: true}", "'output' is a price .* got True"),
        ("a: {input: '0.5', output: 2}", "got '0.5'"),
        ("a: {input: .nan, output: 2}", "got nan"),
        ("a: {input: .inf, output: 2}", "got inf"),
        ("a: {input: 1" + "0" * 400 + ", output: 2}", "is a price in USD"),
        ("a: {input: null, output: 2}", "got None"),
        ("a: {input: 1, output: 2}\na: {input: 2, output: 3}", "'a' is there twice; drop one of the two"),
        ("a: {input: 1, output: 2, input: 3}", "'input' is there twice"),
        ("a: !!python/name:os.system {input: 1, output: 2}", "cannot be read as yaml"),
    ],
)
def test_a_typo_in_a_price_file_is_found(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(FileFormatError, match=message) as raised:
        PriceFile.read(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"input": 1, "output": 2}, "a": {"input": 1, "output": 2}}', "'a' is there twice"),
        ('{"a": {"input": NaN, "output": 2}}', "got nan"),
        ('{"a": ', "cannot be read as json"),
        ("[" * 100_000, "cannot be read as json"),
    ],
)
def test_a_typo_in_json_is_found(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        PriceFile.read(written(tmp_path, text, ".json"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="in UTF-8"):
        PriceFile.read(tmp_path / "prices.yaml")


def test_a_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"prices\.yaml is no file"):
        PriceFile.read(tmp_path / "prices.yaml")
    with pytest.raises(FileFormatError, match=r"the suffix '\.toml' is not known"):
        PriceFile.read(written(tmp_path, "a = 1", ".toml"))


def test_a_price_checks_itself() -> None:
    with pytest.raises(ParameterError, match="'output' is a price"):
        Price(1, -2)
