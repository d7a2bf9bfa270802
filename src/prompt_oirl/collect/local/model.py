"""A local model: a causal language model and its tokenizer, from a checkpoint folder; blocking, one batch at a time."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from prompt_oirl.collect.local.checkpoint import check_checkpoint
from prompt_oirl.collect.local.decoding import EndOfRows, SampledRows, is_greedy
from prompt_oirl.errors import DataError, LLMError
from prompt_oirl.optional import import_optional
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome

__all__ = ["DEFAULT_MAX_TOKENS", "LocalModel", "LocalRequest"]

DEFAULT_MAX_TOKENS = 512
"""Most tokens of an answer where the parameters set no limit."""


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """What one answer is made of."""

    tokens: tuple[int, ...]
    parameters: SamplingParameters
    is_wanted: Callable[[], bool]
    """Asked after every token: where it says no, the answer ends there."""

    def random_numbers(self) -> random.Random:
        """Return the source of the answer's randomness: fixed by its seed and prompt, else of the system."""
        if self.parameters.seed is None:
            return random.Random()
        return random.Random(hashlib.sha256(repr((self.parameters.seed, self.tokens)).encode()).digest())


class LocalModel:
    """Loads a checkpoint and answers batches of requests.

    Only safetensors are read, no code of the checkpoint is run, and nothing is downloaded. On a GPU the weights keep
    the number format of the checkpoint, on a processor they are float32. Sampling defaults of the checkpoint
    (`generation_config.json`) are not used, its end tokens are.

    Args:
        folder: Of the checkpoint.
        batch_size: Most requests at once; it halves when memory runs out.
        device: Such as `cuda:1` or `cpu`; a GPU if there is one.

    Raises:
        MissingDependencyError: torch or transformers are not installed.
        DataError: The folder is no checkpoint of a chat model, or is damaged.
        LLMError: The model does not fit the device.
    """

    def __init__(self, folder: Path | str, *, batch_size: int = 8, device: str | None = None) -> None:
        self._torch = import_optional("torch", extra="local")
        self._transformers = import_optional("transformers", extra="local")
        self._folder = check_checkpoint(folder)
        self.batch_size = batch_size
        self.name = self._folder.resolve().name
        self._device = device or ("cuda" if self._torch.cuda.is_available() else "cpu")
        with _no_progress_bar(self._transformers):
            self._tokenizer = self._load_tokenizer()
            self._model = self._load_model()
        self._end_tokens = self._read_end_tokens()
        self._model.generation_config = self._transformers.GenerationConfig()

    @property
    def context(self) -> int | None:
        """Most tokens of prompt and answer together; None where the checkpoint names no limit."""
        return getattr(self._model.config.get_text_config(), "max_position_embeddings", None)

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Return the tokens of a conversation, by the checkpoint's chat template, up to where the answer begins.

        Raises:
            DataError: The template refuses the conversation, such as a system message that it has no place for.
        """
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        errors = import_optional("jinja2", extra="local").TemplateError
        try:
            text = self._tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        except errors as error:
            raise DataError(f"the chat template of {self._folder} refuses the messages: {error}") from error
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def answer(self, requests: Sequence[LocalRequest]) -> list[Outcome]:
        """Return one outcome for each request; their parameters are equal but for the seed.

        Raises:
            LLMError: The model failed in a way that no other batch can survive.
        """
        try:
            return self._answer(requests)
        except self._torch.cuda.OutOfMemoryError as error:
            if len(requests) == 1:
                return [Failure("server_error", f"{error}; a prompt of {len(requests[0].tokens)} tokens"[:500])]
        except Exception as error:  # of foreign code: a kernel, a driver, a model that transformers gets wrong
            raise LLMError(f"{self._folder}: the model failed on {self._device}: {error}") from error
        # Out of the handler: the error's traceback would keep the tensors that filled the memory.
        self._torch.cuda.empty_cache()
        half = (len(requests) + 1) // 2
        self.batch_size = min(self.batch_size, half)
        return self.answer(requests[:half]) + self.answer(requests[half:])

    def _answer(self, requests: Sequence[LocalRequest]) -> list[Outcome]:
        parameters = requests[0].parameters
        started = perf_counter()
        tokens, attention = self._left_padded(requests)
        start = tokens.shape[1]
        ends = EndOfRows(
            start,
            [self._limit(request) for request in requests],
            end_tokens=self._end_tokens,
            stop=parameters.stop,
            decode=self._decode,
            is_wanted=[request.is_wanted for request in requests],
        )
        sampled = (
            [] if is_greedy(parameters) else [SampledRows(parameters, [each.random_numbers() for each in requests])]
        )
        output = self._model.generate(
            input_ids=tokens,
            attention_mask=attention,
            do_sample=False,
            max_new_tokens=max(self._limit(request) for request in requests),
            repetition_penalty=json.loads(parameters.extra).get("repetition_penalty", 1.0),
            pad_token_id=self._pad,
            logits_processor=self._transformers.LogitsProcessorList(sampled),
            stopping_criteria=self._transformers.StoppingCriteriaList([ends]),
        )
        new = output[:, start:].tolist()
        seconds = perf_counter() - started
        return [self._outcome(request, new[row], ends, row, seconds) for row, request in enumerate(requests)]

    def _outcome(self, request: LocalRequest, new: list[int], ends: EndOfRows, row: int, seconds: float) -> Outcome:
        length = ends.lengths[row]
        kept = new[: length - (new[length - 1] in self._end_tokens)]
        return Completion(
            text=_cut(self._decode(kept), request.parameters.stop),
            model=self.name,
            finish_reason=ends.endings[row],
            prompt_tokens=len(request.tokens),
            completion_tokens=length,
            latency=seconds,
        )

    def _limit(self, request: LocalRequest) -> int:
        limit = request.parameters.max_tokens or DEFAULT_MAX_TOKENS
        return limit if self.context is None else min(limit, self.context - len(request.tokens))

    def _left_padded(self, requests: Sequence[LocalRequest]) -> tuple[Any, Any]:
        longest = max(len(request.tokens) for request in requests)
        gaps = [longest - len(request.tokens) for request in requests]
        tokens = [[self._pad] * gap + list(request.tokens) for gap, request in zip(gaps, requests, strict=True)]
        attention = [[0] * gap + [1] * (longest - gap) for gap in gaps]
        return self._torch.tensor(tokens, device=self._device), self._torch.tensor(attention, device=self._device)

    @property
    def _pad(self) -> int:
        """Any token does: attention is off where it stands."""
        return self._tokenizer.pad_token_id or 0

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text.replace("\0", "\ufffd")  # which no store holds

    def _load_tokenizer(self) -> Any:
        with _explained(self._folder, "tokenizer"):
            tokenizer = self._transformers.AutoTokenizer.from_pretrained(
                self._folder, local_files_only=True, trust_remote_code=False
            )
        if not tokenizer.chat_template:
            raise DataError(
                f"{self._folder} has no chat template, so how it wants to be asked is not known; take the chat version "
                "of the model, or put its format as Jinja into the folder's chat_template.jinja"
            )
        return tokenizer

    def _load_model(self) -> Any:
        with _explained(self._folder, "model"):
            model, loading = self._transformers.AutoModelForCausalLM.from_pretrained(
                self._folder,
                dtype=self._torch.float32 if self._device == "cpu" else "auto",
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        if missing := sorted(loading["missing_keys"]):
            raise DataError(
                f"{self._folder}: the weights of {len(missing)} layers are missing, such as {missing[0]}; "
                "the checkpoint is incomplete or not of a model that answers; download it again"
            )
        try:
            return model.to(self._device).eval()
        except RuntimeError as error:
            raise LLMError(
                f"{self._folder} cannot be put on {self._device} ({error}); name another device, or serve the model "
                "and use --base-url"
            ) from error

    def _read_end_tokens(self) -> frozenset[int]:
        of_model = self._model.generation_config.eos_token_id
        listed = of_model if isinstance(of_model, list) else [of_model]
        return frozenset(token for token in (*listed, self._tokenizer.eos_token_id) if token is not None)


def _cut(text: str, stop: Sequence[str]) -> str:
    """Return the text up to the first of the stop texts."""
    return text[: min((text.index(each) for each in stop if each in text), default=len(text))]


@contextmanager
def _explained(folder: Path, part: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file can make the loaders raise anything
        reason = f"{type(error).__name__}: {error}".strip()[:500]
        raise DataError(
            f"{folder}: the {part} cannot be loaded ({reason}); download the checkpoint again, or serve the model and "
            "use --base-url"
        ) from error


@contextmanager
def _no_progress_bar(transformers: Any) -> Iterator[None]:
    logging = transformers.utils.logging
    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()
