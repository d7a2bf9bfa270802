"""A client of an LLM in this process: many calls wait, and a local model answers them in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.local.checkpoint import check_checkpoint, local_base_url
from prompt_oirl.collect.local.decoding import check_local_parameters
from prompt_oirl.collect.local.model import LocalModel, LocalRequest
from prompt_oirl.errors import DataError, LLMError, ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Failure, Outcome

__all__ = ["LocalClient", "check_local_parameters", "local_base_url"]

_PAUSE = 0.005
"""Seconds that a batch waits for the next request; it goes as soon as none has come for so long."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: LocalRequest
    outcome: asyncio.Future[Outcome]

    @property
    def kind(self) -> SamplingParameters:
        """What the requests of a batch have in common."""
        return replace(self.request.parameters, seed=None)


class LocalClient(LLMClient):
    """Asks a model that is loaded from a checkpoint folder, in batches, on a GPU if there is one.

    Needs the extra `local`. With no temperature, or 0, answers are greedy; above, they are sampled, with `top_p` and
    the extra parameters `top_k` and `repetition_penalty`. A seed fixes an answer by seed and prompt, whatever else is
    in its batch, up to the rounding of the device's arithmetic, which depends on the batch's shape. With no limit an
    answer has at most 512 tokens, and never more than the model's context leaves it. Give the collection a concurrency
    of twice the batch size, so that a full batch waits when one is done.

    Args:
        folder: Of the checkpoint: `config.json`, safetensors, a tokenizer with a chat template.
        batch_size: Most answers at once; it halves when memory runs out.
        device: Such as `cuda:1` or `cpu`; a GPU if there is one.

    Raises:
        DataError: The folder is no checkpoint.
        ParameterError: The batch size is below 1.
    """

    def __init__(self, folder: Path | str, *, batch_size: int = 8, device: str | None = None) -> None:
        if batch_size < 1:
            raise ParameterError(f"batch_size={batch_size}: at least 1 is needed")
        self._folder = check_checkpoint(folder)
        self.model = self._folder.resolve().name
        self._batch_size = batch_size
        self._device = device
        self._model: LocalModel | None = None
        self._loading = asyncio.Lock()
        self._waiting: list[_Waiting] = []
        self._under_way: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"LocalClient(folder={str(self._folder)!r}, batch_size={self._batch_size}, device={self._device!r})"

    async def check(self) -> None:
        """Load the model, which may take minutes.

        Raises:
            MissingDependencyError: torch or transformers are not installed.
            DataError: The folder is no checkpoint of a chat model, or is damaged.
            LLMError: The model does not fit the device.
        """
        await self._loaded()

    async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
        """Return what the model answered, or why it did not: `bad_request` if the prompt does not fit its context.

        Raises:
            ParameterError: A parameter is not one that a local model knows.
            LLMError: The model failed, or the client was closed.
        """
        check_local_parameters(parameters)
        model = await self._loaded()
        try:
            tokens = model.encode(messages)
        except DataError as error:
            return Failure("bad_request", str(error))
        if model.context is not None and len(tokens) >= model.context:
            return Failure("bad_request", _too_long(len(tokens), model.context))
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._put(_Waiting(LocalRequest(tokens, parameters, lambda: not outcome.done()), outcome), model)
        return await outcome

    async def close(self) -> None:
        """End what is under way after its next token, and let the model go."""
        self._is_closed = True
        self._refuse(LLMError(f"the client of {self._folder} was closed before its answers were there"))
        self._arrived.set()
        if self._worker is not None:
            await self._worker
        self._model = None

    async def _loaded(self) -> LocalModel:
        async with self._loading:
            if self._is_closed:
                raise LLMError(f"the client of {self._folder} is closed; make another")
            if self._model is None:
                self._model = await asyncio.to_thread(
                    LocalModel, self._folder, batch_size=self._batch_size, device=self._device
                )
            return self._model

    def _put(self, waiting: _Waiting, model: LocalModel) -> None:
        self._waiting.append(waiting)
        self._arrived.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(model))

    async def _work(self, model: LocalModel) -> None:
        try:
            while not self._is_closed:
                await self._gather(model)
                self._under_way = self._next_batch(model)
                if self._under_way:
                    await self._answer(model)
        finally:
            self._is_closed = True
            self._refuse(LLMError(f"the model of {self._folder} has stopped"))

    async def _gather(self, model: LocalModel) -> None:
        """Wait for a request, and for others as long as they keep coming."""
        await self._arrived.wait()
        seen = 0
        while seen < len(self._waiting) < model.batch_size:
            seen = len(self._waiting)
            await asyncio.sleep(_PAUSE)

    def _next_batch(self, model: LocalModel) -> list[_Waiting]:
        """Take the oldest request, and those of its kind whose prompts are nearest in length: little padding."""
        self._waiting = [each for each in self._waiting if not each.outcome.done()]
        batch: list[_Waiting] = []
        if self._waiting:
            oldest = self._waiting[0]
            length = len(oldest.request.tokens)
            alike = [each for each in self._waiting if each.kind == oldest.kind]
            alike.sort(key=lambda each: (each is not oldest, abs(len(each.request.tokens) - length)))
            batch = alike[: model.batch_size]
        self._waiting = [each for each in self._waiting if each not in batch]
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _answer(self, model: LocalModel) -> None:
        try:
            outcomes = await asyncio.to_thread(model.answer, [each.request for each in self._under_way])
        except LLMError as error:
            self._refuse(error)
            return
        for each, outcome in zip(self._under_way, outcomes, strict=True):
            if not each.outcome.done():
                each.outcome.set_result(outcome)

    def _refuse(self, error: LLMError) -> None:
        for each in (*self._under_way, *self._waiting):
            if not each.outcome.done():
                each.outcome.set_exception(error)


def _too_long(n_tokens: int, context: int) -> str:
    return (
        f"the prompt has {n_tokens} tokens and the model's context {context}, of which the answer needs some; "
        "shorten the query or the prompt"
    )
