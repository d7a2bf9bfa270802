"""From the options of `collect` and `critique` to what asks the LLM, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from prompt_oirl.cli.render_runs import collecting_progress, say_that_it_drains, say_warning
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.local.checkpoint import local_base_url
from prompt_oirl.collect.local.client import LocalClient
from prompt_oirl.collect.local.decoding import check_local_parameters
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.tokens import TokenCounter
from prompt_oirl.errors import ParameterError
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.run import Run

__all__ = ["ClientMaker", "Collector", "client_maker", "collector_of", "settings_of", "slots"]

_CONCURRENCY = 16
_ENGINES = ("here", "dask")

ClientMaker = Callable[[RunConfiguration, AdaptiveConcurrency, TokenCounter], LLMClient]
Collector = Callable[[Order, Run], Coroutine[Any, Any, Collected]]


def settings_of(
    api_key_variable: str, *, rpm: float | None, tpm: float | None, timeout: float, max_attempts: int
) -> ClientSettings:
    """Return how a server is to be asked."""
    return ClientSettings(
        api_key_variable=api_key_variable,
        timeout=timeout,
        max_attempts=max_attempts,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
    )


def slots(concurrency: int | None, *, local: Path | None, batch_size: int) -> int:
    """Return how many calls may be in flight: for a local model a batch that is answered, and one that waits."""
    return concurrency or (_CONCURRENCY if local is None else 2 * batch_size)


def client_maker(settings: ClientSettings, *, local: Path | None, batch_size: int) -> ClientMaker:
    """Return what makes the client, once the order is known and the event loop runs."""

    def make(configuration: RunConfiguration, concurrency: AdaptiveConcurrency, counter: TokenCounter) -> LLMClient:
        _check_place(configuration, local)
        if local is not None:
            check_local_parameters(configuration.parameters)
            return LocalClient(local, batch_size=batch_size)
        return settings.client(
            configuration, concurrency=concurrency, count_tokens=counter.count, on_warning=say_warning
        )

    return make


def _check_place(configuration: RunConfiguration, local: Path | None) -> None:
    """Raise if the run's LLM is a checkpoint and another one, or none, is given, or a server's and one is given."""
    place = configuration.base_url
    if local is None and place.startswith("local:"):
        raise ParameterError(f"the run's LLM {configuration.model} is a checkpoint; name its folder with --local")
    if local is not None and local_base_url(local) != place:
        raise ParameterError(f"{local} is not the run's LLM, which is {configuration.model} at {place}")


def collector_of(
    engine: str,
    settings: ClientSettings,
    *,
    scheduler: str | None,
    local: Path | None,
    batch_size: int,
    concurrency: int | None,
) -> Collector:
    """Return what collects: this process, or a Dask cluster."""
    if engine not in _ENGINES:
        raise ParameterError(f"there is no engine {engine!r}; use one of {', '.join(_ENGINES)}")
    if (engine == "dask") != (scheduler is not None):
        raise ParameterError("--engine dask and --scheduler go together: the address of Dask's, tcp://host:8786")
    most = slots(concurrency, local=local, batch_size=batch_size)
    if scheduler is None:
        return _here(client_maker(settings, local=local, batch_size=batch_size), most)
    if local is not None:
        raise ParameterError(
            f"--local {local} is loaded in this process and not by Dask's workers; serve the checkpoint with an "
            "OpenAI-compatible server, and give --base-url"
        )
    return _on_dask(scheduler, settings, most)


def _here(make_client: ClientMaker, concurrency: int) -> Collector:
    async def collect(order: Order, run: Run) -> Collected:
        adaptive = AdaptiveConcurrency(concurrency)
        counter = order.counter(run.store)
        client = make_client(order.configuration, adaptive, counter)
        with collecting_progress() as show:
            return await order.collect(
                run.store,
                client,
                concurrency=adaptive,
                counter=counter,
                on_progress=show,
                on_drain=say_that_it_drains,
            )

    return collect


def _on_dask(scheduler: str, settings: ClientSettings, concurrency: int) -> Collector:
    from prompt_oirl.collect.cluster.engine import collect_on_dask

    async def collect(order: Order, run: Run) -> Collected:
        with collecting_progress() as show:
            return await collect_on_dask(
                order,
                run,
                scheduler=scheduler,
                settings=settings,
                concurrency=concurrency,
                on_progress=show,
                on_drain=say_that_it_drains,
                on_warning=say_warning,
            )

    return collect
