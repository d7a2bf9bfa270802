"""From options to what asks the LLM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.cli import collect_clients
from prompt_oirl.cli.collect_orders import configuration_of
from prompt_oirl.collect.client.concurrency import AdaptiveConcurrency
from prompt_oirl.collect.client.openai_client import OpenAIClient
from prompt_oirl.collect.client.settings import ClientSettings
from prompt_oirl.collect.plan.tokens import CharacterCounter
from prompt_oirl.errors import ParameterError
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters

CONFIGURATION = RunConfiguration("m", "http://127.0.0.1:1/v1")


def test_slots_are_two_batches_for_a_local_model_unless_given(tmp_path: Path) -> None:
    assert collect_clients.slots(None, local=None, batch_size=8) == 16
    assert collect_clients.slots(None, local=tmp_path, batch_size=3) == 6
    assert collect_clients.slots(5, local=tmp_path, batch_size=3) == 5


async def test_the_client_is_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    make = collect_clients.client_maker(ClientSettings(), local=None, batch_size=8)
    client = make(CONFIGURATION, AdaptiveConcurrency(1), CharacterCounter())
    assert isinstance(client, OpenAIClient)
    await client.close()
    with pytest.raises(ParameterError, match="name its folder with --local"):
        make(RunConfiguration("llama", "local:0123456789abcdef"), AdaptiveConcurrency(1), CharacterCounter())

    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    make = collect_clients.client_maker(ClientSettings(), local=tmp_path, batch_size=8)
    with pytest.raises(ParameterError, match="is not the run's LLM, which is m at http"):
        make(CONFIGURATION, AdaptiveConcurrency(1), CharacterCounter())
    own = configuration_of(None, "-", local=tmp_path, parameters=SamplingParameters())
    assert "LocalClient" in repr(make(own, AdaptiveConcurrency(1), CharacterCounter()))
    sampled = RunConfiguration(own.model, own.base_url, SamplingParameters(top_p=0.5))
    with pytest.raises(ParameterError, match="need a temperature"):
        make(sampled, AdaptiveConcurrency(1), CharacterCounter())


def test_engines_have_names(tmp_path: Path) -> None:
    def collector(engine: str, scheduler: str | None = None, local: Path | None = None) -> Any:
        return collect_clients.collector_of(
            engine, ClientSettings(), scheduler=scheduler, local=local, batch_size=8, concurrency=4
        )

    assert callable(collector("here"))
    assert callable(collector("dask", "tcp://127.0.0.1:1"))
    with pytest.raises(ParameterError, match="'ray'; use one of here, dask"):
        collector("ray")
    for engine, scheduler in (("dask", None), ("here", "tcp://127.0.0.1:1")):
        with pytest.raises(ParameterError, match="go together"):
            collector(engine, scheduler)
    with pytest.raises(ParameterError, match="not by Dask's workers"):
        collector("dask", "tcp://127.0.0.1:1", tmp_path)


def test_settings_are_those_of_the_options() -> None:
    made = collect_clients.settings_of("MY_KEY", rpm=60.0, tpm=None, timeout=5.0, max_attempts=2)
    assert made == ClientSettings(api_key_variable="MY_KEY", timeout=5.0, max_attempts=2, requests_per_minute=60.0)
