"""How a batch of a local model's answers is decoded, each row as if it were alone: which token, and when it ends.

Both classes are hooks of `transformers`' `generate` and hold no state between batches. torch is imported at use.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

from prompt_oirl.errors import ParameterError
from prompt_oirl.optional import import_optional
from prompt_oirl.runs.configuration import SamplingParameters

__all__ = ["EndOfRows", "Ending", "SampledRows", "check_local_parameters", "is_greedy"]

Ending = Literal["stop", "length", "unwanted"]
"""An end token or a stop text; the limit of tokens; or nobody waits for the answer any more."""

_LEAST_TEMPERATURE = 1e-5
"""Below it a division by the temperature overflows, and sampling is greedy to more digits than there are."""

_EXTRA: dict[str, tuple[Callable[[Any], bool], str]] = {
    "top_k": (lambda value: type(value) is int and value > 0, "a whole number above 0"),
    "repetition_penalty": (lambda value: type(value) in (int, float) and value > 0, "a number above 0"),
}


def is_greedy(parameters: SamplingParameters) -> bool:
    """Whether each token is the likeliest: with no temperature, or one of (almost) 0."""
    return parameters.temperature is None or parameters.temperature < _LEAST_TEMPERATURE


def check_local_parameters(parameters: SamplingParameters) -> None:
    """Refuse what a local model does not do, so that nothing is asked for and silently left out.

    Raises:
        ParameterError: There is an `extra` other than `top_k` and `repetition_penalty`, an empty stop text, or a
            `top_p` or `top_k` with no temperature.
    """
    extra = json.loads(parameters.extra)
    for name, value in extra.items():
        if name not in _EXTRA:
            raise ParameterError(
                f"{name}={value!r}: a local model knows only {', '.join(sorted(_EXTRA))} as further parameters; "
                "leave it out, or serve the model and use --base-url"
            )
        is_allowed, expected = _EXTRA[name]
        if not is_allowed(value):
            raise ParameterError(f"{name}={value!r}: {expected} is needed")
    if not all(parameters.stop):
        raise ParameterError(f"stop={parameters.stop!r}: a stop text is not empty")
    if parameters.temperature is None and (parameters.top_p is not None or "top_k" in extra):
        raise ParameterError("top_p and top_k need a temperature above 0: without one a local model answers greedily")


class SampledRows:
    """Leaves each row one token, drawn from the row's own random numbers; `generate` then takes it as the likeliest.

    One uniform number a row and token, against the cumulative probabilities in the vocabulary's order: a row's tokens
    depend on its own numbers only, not on the rows beside it nor on the device's random generator.

    Args:
        parameters: Those of every row; its temperature is above 0.
        sources: One for each row.
    """

    def __init__(self, parameters: SamplingParameters, sources: Sequence[random.Random]) -> None:
        self._temperature = parameters.temperature
        self._top_p = parameters.top_p
        self._top_k: int | None = json.loads(parameters.extra).get("top_k")
        self._sources = sources

    def __call__(self, _tokens: Any, scores: Any) -> Any:
        """Return scores (n_rows, n_tokens) that are -∞ but for the token drawn."""
        torch = import_optional("torch", extra="local")
        probabilities = self._probabilities((scores - scores.amax(-1, keepdim=True)) / self._temperature)
        cumulative = probabilities.cumsum(-1)
        uniform = cumulative.new_tensor([[source.random()] for source in self._sources])
        chosen = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
        # A uniform number that rounds to 1 would fall behind the last token that has any probability.
        chosen = torch.minimum(chosen, (cumulative < cumulative[:, -1:]).sum(-1, keepdim=True))
        return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)

    def _probabilities(self, logits: Any) -> Any:
        if self._top_k is not None and self._top_k < logits.shape[-1]:
            least = logits.topk(self._top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, float("-inf"))
        probabilities = logits.softmax(-1)
        if self._top_p is None or self._top_p == 1:
            return probabilities
        ordered, order = probabilities.sort(descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered
        return probabilities.scatter(1, order, ordered.masked_fill(before >= self._top_p, 0.0))


class EndOfRows:
    """Ends each row at an end token, at a stop text, at its limit, or when nobody wants it; remembers which.

    Args:
        start: Index of the first new token: the length that the prompts were padded to.
        limits: Most new tokens, one for each row.
        end_tokens: Ids that end an answer.
        stop: Texts that end an answer.
        decode: New tokens to text.
        is_wanted: One for each row.
    """

    def __init__(
        self,
        start: int,
        limits: Sequence[int],
        *,
        end_tokens: frozenset[int],
        stop: Sequence[str],
        decode: Callable[[list[int]], str],
        is_wanted: Sequence[Callable[[], bool]],
    ) -> None:
        self._start = start
        self._limits = limits
        self._end_tokens = end_tokens
        self._stop = stop
        # A character has at most 4 bytes and a token at least one: so many tokens hold the longest stop text, with
        # room for a character that is cut at the front.
        self._window = 4 * max(map(len, stop), default=0) + 8
        self._decode = decode
        self._is_wanted = is_wanted
        self.endings: list[Ending | None] = [None] * len(limits)
        self.lengths = [0] * len(limits)
        """New tokens of each row, the end token included."""

    def __call__(self, tokens: Any, _scores: Any, **_: Any) -> Any:
        """Return (n_rows,) which rows have ended, given all tokens so far, (n_rows, n)."""
        torch = import_optional("torch", extra="local")
        count = tokens.shape[1] - self._start
        for row, newest in enumerate(tokens[:, self._start :][:, -self._window :].tolist()):
            if self.endings[row] is None:
                self.lengths[row] = count
                self.endings[row] = self._ending(row, newest, count)
        return torch.tensor([ending is not None for ending in self.endings], device=tokens.device)

    def _ending(self, row: int, newest: list[int], count: int) -> Ending | None:
        if newest[-1] in self._end_tokens:
            return "stop"
        if self._stop and _holds(self._decode(newest), self._stop):
            return "stop"
        if count >= self._limits[row]:
            return "length"
        return None if self._is_wanted[row]() else "unwanted"


def _holds(text: str, parts: Sequence[str]) -> bool:
    return any(part in text for part in parts)
