"""What tokens cost: a file of prices that the user keeps, because prices change and none are guessed here."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.spelling import did_you_mean

__all__ = ["Price", "PriceFile"]

_SUFFIXES = (".json", ".yaml", ".yml")
_KEYS = ("input", "output")
_SYNONYMS = {"prompt": "input", "in": "input", "completion": "output", "answer": "output", "out": "output"}
_TOO_HIGH = 1e9
_EXAMPLE = "{input: USD per million tokens, output: USD per million tokens}"


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost, in USD per million.

    Raises:
        ParameterError: A price is no number, or negative.
    """

    input: float
    """Of the tokens of requests."""

    output: float
    """Of the tokens of answers."""

    def __post_init__(self) -> None:
        for name in _KEYS:
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (is_number and 0 <= value < _TOO_HIGH):
                raise ParameterError(
                    f"{name!r} is a price in USD per million tokens, a number of at least 0 such as 0.15, got {value!r}"
                )

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what so many tokens cost, in USD."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6

    def __str__(self) -> str:
        return f"{self.input:g} USD per million tokens asked, {self.output:g} answered"


@dataclass(frozen=True, slots=True)
class PriceFile:
    """The prices of a file, by the models' names."""

    path: Path
    prices: Mapping[str, Price]

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read a `.yaml`, `.yml` or `.json` file: each model's name with its `input` and `output` price.

        ```yaml
        gpt-4o-mini: {input: 0.15, output: 0.60}   # USD per million tokens
        ```

        Raises:
            DataNotFoundError: There is no such file.
            FileFormatError: The file is malformed; the message names the model and the way out.
        """
        path = Path(path)
        if not path.is_file():
            raise DataNotFoundError(f"{path} is no file; name a price file that ends in {', '.join(_SUFFIXES)}")
        if path.suffix not in _SUFFIXES:
            raise FileFormatError(path, f"the suffix {path.suffix!r} is not known; use {', '.join(_SUFFIXES)}")
        try:
            return cls(path, {_name_of(name): _price_of(name, entry) for name, entry in _entries(path).items()})
        except (DataError, ParameterError) as error:
            raise FileFormatError(path, str(error)) from error

    def of(self, model: str) -> Price | None:
        """Return the price of a model; None where the file has none."""
        return self.prices.get(model)

    def missing(self, model: str) -> str:
        """Return what to tell a user whose model has no price here."""
        meant = did_you_mean(model, self.prices)
        return f"{self.path} has no price of {model!r}{meant or ';'} add a line {model}: {_EXAMPLE}"


def _entries(path: Path) -> Mapping[object, object]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=_distinct) if path.suffix == ".json" else yaml.load(text, _Loader)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"cannot be read as {path.suffix[1:]} in UTF-8: {error}") from error
    if not isinstance(content, dict) or not content:
        raise DataError(f"a mapping of each model's name to {_EXAMPLE} is needed, got {content!r:.80}")
    return content


def _name_of(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"{name!r} is no model's name; put quotes around it")
    return name


def _price_of(name: object, entry: object) -> Price:
    if not isinstance(entry, dict):
        raise DataError(f"the price of {name!r} must be {_EXAMPLE}, got {entry!r:.80}")
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        meant = did_you_mean(unknown[0], _KEYS, synonyms=_SYNONYMS)
        raise DataError(f"the price of {name!r} has the key {unknown[0]!r}; known are {', '.join(_KEYS)}{meant}")
    missing = [key for key in _KEYS if key not in entry]
    if missing:
        raise DataError(f"the price of {name!r} has no {missing[0]!r}; write 0 where it costs nothing")
    try:
        return Price(**entry)
    except ParameterError as error:
        raise DataError(f"the price of {name!r}: {error}") from error


def _check_distinct(names: Sequence[object]) -> None:
    """Raise if a name is there twice: of two prices the last one would win unseen."""
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"{repeated!r} is there twice; drop one of the two")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_distinct([name for name, _ in pairs])
    return dict(pairs)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        _check_distinct([key.value for key, _ in node.value])
        return super().construct_mapping(node, deep=deep)
