"""Any OpenAI-compatible server, through the `openai` package: one request an attempt, and a typed outcome for each."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx2
import openai

from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.lanes import Lanes
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.client.rates import RateLimits
from prompt_oirl.collect.client.refusals import way_out
from prompt_oirl.collect.client.replies import failure_of_status, read_error, read_models, read_reply
from prompt_oirl.collect.client.request_body import is_openai, request_body
from prompt_oirl.collect.client.retries import Attempt, Retries, retry_after
from prompt_oirl.collect.client.secrets import PLACEHOLDER, read_key, redact, redactor
from prompt_oirl.errors import LLMError, ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome

__all__ = ["OpenAIClient"]

_CHECK_PAUSES = (0.2, 0.5)
"""Seconds before each further attempt of a check."""

_CHECK_TIMEOUT = 10.0
_LONGEST_MESSAGE = 500
_NO_PROXY = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""A proxy's localhost is not this one."""


class OpenAIClient(LLMClient):
    """Asks one model of one server. It belongs to one event loop, and its repr and its errors show no key.

    Args:
        model: The server's name for the model.
        base_url: Address of the server, such as `https://api.openai.com/v1`.
        api_key_variable: The environment variable that holds the key.
        timeout: Seconds that one attempt may take, from connecting to the last byte.
        max_attempts: Requests that one call may send.
        first_wait: Longest wait before the second attempt, in seconds; it doubles with each further one.
        concurrency: Is told of successes and of 429s. Taking its slots is the caller's part.
        rates: Limits that each attempt waits for.
        count_tokens: Tokens that a call takes of `rates`, the answer's included.
        on_warning: Told what `check` found that does not stop calls, but looks wrong; it is kept as `warning` too.
        seed: Of the jitter in the waits; None draws one. It has no part in the answers.

    Raises:
        ParameterError: The address, the key or another argument cannot be used, or a key is needed and not there.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key_variable: str = "OPENAI_API_KEY",
        timeout: float = 60.0,
        max_attempts: int = 6,
        first_wait: float = 1.0,
        concurrency: AdaptiveConcurrency | None = None,
        rates: RateLimits | None = None,
        count_tokens: Callable[[Sequence[Message]], int] | None = None,
        on_warning: Callable[[str], None] = lambda _: None,
        seed: int | None = None,
    ) -> None:
        self.model = model
        self.base_url = _checked_address(model, base_url)
        if not (math.isfinite(timeout) and timeout > 0):
            raise ParameterError(f"timeout={timeout}: a finite number of seconds above 0 is needed")
        if rates is not None and rates.tokens_per_minute is not None and count_tokens is None:
            raise ParameterError("a limit of tokens per minute needs count_tokens, which says what a call takes")
        self.timeout = timeout
        self.concurrency = concurrency
        self.rates = rates
        self.warning: str | None = None
        """What `check` found that does not stop calls, but looks wrong."""

        self._on_warning = on_warning
        self._has_access = False
        self._is_closed = False
        self._count_tokens = count_tokens or _no_tokens
        self._retries = Retries(max_attempts=max_attempts, first_wait=first_wait, random=Random(seed))
        self._variable = api_key_variable
        self._redact, self._openai = _connect(self.base_url, api_key_variable)

    def __repr__(self) -> str:
        return f"OpenAIClient(model={self.model!r}, base_url={self.base_url!r})"

    def __getstate__(self) -> Any:
        """Refuse: what is pickled or copied would hold the key."""
        raise ParameterError("a client holds a key and open connections; make one in the process where it is used")

    async def check(self) -> None:
        """Ask for the list of models, which costs nothing.

        Raises:
            LLMError: No access, or no server.
        """
        reply = await self._ask_for_models()
        for pause in _CHECK_PAUSES:
            if isinstance(reply, httpx2.Response):
                break
            await asyncio.sleep(pause)
            reply = await self._ask_for_models()
        if isinstance(reply, Failure):
            raise self._error(
                f"cannot be reached ({reply.kind}: {reply.message})",
                "see that the server runs, that the address is right, and that this machine may reach it",
            )
        self._read_check(reply)

    async def complete(self, messages: Sequence[Message], parameters: SamplingParameters) -> Outcome:
        """Return what the model answered, or after retries why it did not.

        Raises:
            LLMError: No other call can succeed either: no access, no credit, no such model or path. A 403 after calls
                have succeeded concerns one call, and is a failure.
            ParameterError: `parameters.extra` cannot be sent.
        """
        body = request_body(self.model, messages, parameters=parameters, base_url=self.base_url)
        tokens = self._count_tokens(messages)
        return await self._retries.run(partial(self._attempt, body, tokens))

    async def close(self) -> None:
        """Give connections back. Calls that are under way, and any further ones, end with an error."""
        self._is_closed = True
        await self._openai.close()

    async def _ask_for_models(self) -> httpx2.Response | Failure:
        return await self._send("GET", "/models", timeout=min(self.timeout, _CHECK_TIMEOUT))

    async def _attempt(self, body: bytes, tokens: int) -> Attempt:
        if self.rates is not None:
            await self.rates.wait(tokens)
        started_at = time.perf_counter()
        reply = await self._send("POST", "/chat/completions", content=body, timeout=self.timeout)
        made = self._read(reply, latency=time.perf_counter() - started_at)
        self._tell_concurrency(made.outcome, started_at)
        return made

    async def _send(
        self, method: Literal["GET", "POST"], path: str, *, content: bytes | None = None, timeout: float
    ) -> httpx2.Response | Failure:
        """Return the reply with whatever status, or why there is none. No exception of `openai` leaves this method.

        They hold the request with the key, so nothing is raised while one of them is handled.
        """
        try:
            async with asyncio.timeout(timeout):
                if method == "GET":
                    return await self._openai.get(path, cast_to=httpx2.Response)
                return await self._openai.post(path, content=content, cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            return error.response
        except (TimeoutError, openai.APITimeoutError):
            return Failure("timeout", f"no complete reply within {timeout:g} s")
        except openai.APIConnectionError as error:
            return self._without_secrets(_failure_of_connection(error.__cause__))
        except RuntimeError:
            if not self._is_closed:
                raise
        raise LLMError(f"the client of model {self.model!r} at {self.base_url} is closed; make another")

    def _read(self, reply: httpx2.Response | Failure, *, latency: float) -> Attempt:
        if isinstance(reply, Failure):
            return Attempt(reply)
        if reply.is_success:
            self._has_access = True
            outcome = read_reply(reply.content, model=self.model, latency=latency)
            return Attempt(outcome if isinstance(outcome, Completion) else self._without_secrets(outcome))
        # Some gateways say 403 to a single input that they have flagged.
        is_of_this_call = reply.status_code == HTTPStatus.FORBIDDEN and self._has_access
        if not is_of_this_call and (refusal := self._refusal(reply)):
            raise refusal
        failure = failure_of_status(reply.status_code, read_error(reply.content).message)
        return Attempt(self._without_secrets(failure), retry_after(reply.headers, now=time.time()))

    def _read_check(self, reply: httpx2.Response) -> None:
        # A server need not have this path, nor list every model, and a key may be good for calls alone.
        is_silent = reply.status_code in (404, 405, 429) or "scope" in read_error(reply.content).message
        if not (reply.is_success or is_silent) and (refusal := self._refusal(reply)):
            raise refusal
        models = read_models(reply.content) if reply.is_success else None
        if reply.is_success and models is None:
            self._warn(f"{self.base_url}/models is no list of models; see that the address is right")
        elif models and self.model not in models:
            listed = ", ".join(sorted(map(str, models))[:10])
            self._warn(f"{self.base_url} does not list the model {self.model!r}; it lists {listed}")

    def _warn(self, text: str) -> None:
        self.warning = self._short(text)
        self._on_warning(self.warning)

    def _refusal(self, reply: httpx2.Response) -> LLMError | None:
        """Return the error that the reply is, if no other call can fare better."""
        said = read_error(reply.content)
        advice = way_out(
            reply.status_code,
            code=said.code,
            location=reply.headers.get("location", ""),
            base_url=self.base_url,
            variable=self._variable,
        )
        problem = f"refuses calls (HTTP {reply.status_code}: {self._short(said.message)})"
        return None if advice is None else self._error(problem, advice)

    def _error(self, problem: str, advice: str) -> LLMError:
        return LLMError(self._redact(f"model {self.model!r} at {self.base_url} {problem}; {advice}"))

    def _tell_concurrency(self, outcome: Outcome, started_at: float) -> None:
        if self.concurrency is None:
            return
        if isinstance(outcome, Completion):
            self.concurrency.succeeded()
        elif outcome.kind == "rate_limit":
            self.concurrency.rate_limited(started_at)

    def _without_secrets(self, failure: Failure) -> Failure:
        return replace(failure, message=self._short(failure.message))

    def _short(self, text: str) -> str:
        """Return one line without secrets; these are removed first, so that none is cut in two."""
        line = " ".join(self._redact(text).split())
        return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def _checked_address(model: str, base_url: str) -> str:
    address = RunConfiguration(model, base_url).base_url
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.port != 0 and httpx2.URL(address).host.encode("idna"):
            return address
        problem = "http://… or https://… is needed"
    except (httpx2.InvalidURL, ValueError) as error:
        problem = str(error)
    raise ParameterError(f"base_url={base_url!r} is no address of a server: {problem}")


def _connect(base_url: str, variable: str) -> tuple[Callable[[str], str], openai.AsyncOpenAI]:
    """Return what removes the key from texts, and what sends it."""
    transport = _transport()
    key = read_key(variable, is_needed=is_openai(base_url))
    sender = openai.AsyncOpenAI(
        api_key=key, admin_api_key="", base_url=base_url, timeout=None, max_retries=0, http_client=transport
    )
    if not is_openai(base_url):
        sender.organization = sender.project = None  # read from the environment, and no other server's business
    return redactor(() if key == PLACEHOLDER else (key,)), sender


def _transport() -> httpx2.AsyncClient:
    """Return what sends requests. The deadline of an attempt is `_send`'s; the caller bounds the calls.

    Redirections are not followed: queries and key go to no other place than the one that was named.
    """
    trust = httpx2.create_ssl_context()
    lanes = Lanes(trust)
    places = _NO_PROXY if getproxies() else (*_NO_PROXY, "all://")
    try:
        return httpx2.AsyncClient(
            verify=trust, timeout=None, follow_redirects=False, mounts=dict.fromkeys(places, lanes)
        )
    except (ImportError, ValueError) as error:
        problem = redact(str(error), ())
    raise ParameterError(f"the proxy that the environment names cannot be used: {problem}; unset or correct $ALL_PROXY")


def _no_tokens(messages: Sequence[Message]) -> int:  # noqa: ARG001 - the signature of a counter
    return 0


def _failure_of_connection(cause: BaseException | None) -> Failure:
    text = f"{type(cause).__name__}: {cause}"
    is_reply = isinstance(cause, httpx2.DecodingError) or (
        isinstance(cause, httpx2.RemoteProtocolError) and "without sending a response" not in str(cause)
    )
    return Failure("malformed" if is_reply else "connection", text)
