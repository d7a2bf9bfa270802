"""What is the same for every call of a run: which LLM, where, and how it samples."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self
from urllib.parse import urlsplit

from prompt_oirl.errors import DataError, ParameterError

__all__ = ["RunConfiguration", "SamplingParameters"]


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """How the LLM samples its answers. What is None is not sent, so the server's default holds.

    Raises:
        ParameterError: A value is outside its range.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Most tokens of an answer; longer ones are cut."""

    seed: int | None = None
    """Of the server's sampling, where it can be seeded: sample i of a cell is sent seed + i."""

    stop: tuple[str, ...] = ()
    """Texts at which an answer ends."""

    extra: str = "{}"
    """Further fields of the request's body as a JSON object, such as `{"top_k": 20}`."""

    def __post_init__(self) -> None:
        if self.temperature is not None and not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ParameterError(f"temperature={self.temperature}: a finite number of at least 0 is needed")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ParameterError(f"top_p={self.top_p}: more than 0 and at most 1 is needed")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ParameterError(f"max_tokens={self.max_tokens}: at least 1 is needed")
        try:
            extra = json.loads(self.extra)
        except ValueError as error:
            raise ParameterError(f"extra={self.extra!r} is not JSON: {error}") from error
        if not isinstance(extra, dict):
            raise ParameterError(f'extra={self.extra!r}: a JSON object is needed, such as {{"top_k": 20}}')
        object.__setattr__(self, "stop", tuple(self.stop))
        object.__setattr__(self, "extra", json.dumps(extra, sort_keys=True, ensure_ascii=False))

    def for_sample(self, sample: int) -> SamplingParameters:
        """Return what sample number `sample` of a cell is sent: a seed of its own, if there is one."""
        return self if self.seed is None else replace(self, seed=self.seed + sample)


@dataclass(frozen=True, slots=True)
class RunConfiguration:
    """Which LLM a run asks, and how. Two runs with the same configuration can share answers.

    Raises:
        ParameterError: The model has no name, or the address is no address or holds a secret.
    """

    model: str
    base_url: str
    """Of an OpenAI-compatible server, such as `https://api.openai.com/v1`; `local:` and a hash for a local model."""

    parameters: SamplingParameters = SamplingParameters()

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model.strip():
            raise ParameterError(f"model={self.model!r}: the server's name for the model is needed")
        if self.base_url.startswith("local:"):
            return
        parts = urlsplit(self.base_url)
        if parts.username or parts.password or parts.query:
            raise ParameterError(
                f"the address of {parts.hostname} has a user, a password or a query in it; these are kept in the run's "
                "files, so put the key into an environment variable instead"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ParameterError(f"base_url={self.base_url!r}: http://… or https://… is needed")
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))

    def to_json(self) -> str:
        """Return the canonical text: equal configurations have equal texts."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make a configuration of what `to_json` returned.

        Raises:
            DataError: It is something else.
        """
        try:
            record: dict[str, Any] = json.loads(text)
            return cls(**record | {"parameters": SamplingParameters(**record["parameters"])})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{text[:80]!r} is not the configuration of a run ({error})") from error

    def differences(self, other: RunConfiguration) -> list[str]:
        """Return what differs, one line a field: `temperature: 0.0 here, 0.7 there`."""
        mine, theirs = _flat(self), _flat(other)
        return [f"{name}: {mine[name]!r} here, {theirs[name]!r} there" for name in mine if mine[name] != theirs[name]]


def _flat(configuration: RunConfiguration) -> dict[str, Any]:
    sampling = {each.name: getattr(configuration.parameters, each.name) for each in fields(SamplingParameters)}
    return {"model": configuration.model, "base_url": configuration.base_url} | sampling
