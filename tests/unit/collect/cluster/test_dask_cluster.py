from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

import pytest

from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.cluster.chunk import Site
from prompt_oirl.collect.cluster.dask_cluster import DaskCluster, connected
from prompt_oirl.errors import LLMError, MissingDependencyError, ParameterError
from prompt_oirl.runs.configuration import RunConfiguration

SITE = Site(RunConfiguration("a-model", "http://127.0.0.1:1/v1"), ClientSettings())
VERSION = version("prompt-oirl")


class Workers:
    """Stands for Dask's client: what each worker answers."""

    def __init__(self, *answers: Any) -> None:
        self._answers = {f"tcp://worker-{number}:1": answer for number, answer in enumerate(answers)}

    async def run(self, *_: object, **__: object) -> dict[str, Any]:
        return self._answers

    async def nthreads(self) -> dict[str, int]:
        raise OSError("the connection is closed")


async def check(*answers: Any) -> set[str]:
    return await DaskCluster("tcp://scheduler:8786", Workers(*answers)).check(SITE)


async def test_what_looks_wrong_to_workers_is_said_once() -> None:
    assert await check((VERSION, None), (VERSION, "no such model"), (VERSION, "no such model")) == {"no such model"}


async def test_what_keeps_a_worker_from_buying_is_raised_with_its_address() -> None:
    with pytest.raises(LLMError, match="the worker tcp://worker-1:1: no key"):
        await check((VERSION, None), (VERSION, LLMError("no key")))


async def test_workers_need_the_same_version_of_the_package() -> None:
    with pytest.raises(ParameterError, match=f"worker-0:1 has prompt-oirl 0.0.1, and {VERSION} is needed"):
        await check(("0.0.1", None))
    with pytest.raises(ParameterError, match=f"No module named 'prompt_oirl'.*install prompt-oirl {VERSION} there"):
        await check(ModuleNotFoundError("No module named 'prompt_oirl'"))


async def test_a_scheduler_without_workers_says_how_to_start_one() -> None:
    with pytest.raises(ParameterError, match="dask worker tcp://scheduler:8786"):
        await check()


async def test_a_scheduler_that_goes_away_ends_it() -> None:
    with pytest.raises(LLMError, match=r"tcp://scheduler:8786 is lost \(the connection is closed\)"):
        await DaskCluster("tcp://scheduler:8786", Workers()).n_threads()


async def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[dask\]"):
        async with connected("tcp://127.0.0.1:1"):
            pass
