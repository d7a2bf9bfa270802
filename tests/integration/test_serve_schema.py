"""The service against its own OpenAPI description: no mistake inside, no undocumented answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from prompt_oirl.recommender import Recommender
from prompt_oirl.serve.app import make_app
from prompt_oirl.serve.settings import ServeSettings
from prompt_oirl.testing import SimulatedLLM, SyntheticWorld

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install schemathesis")

TOKEN = "planted-token-60d2"
BEARER = {"authorization": f"Bearer {TOKEN}"}
NO_RECOMMENDER: Any = None
"""None is needed to describe the service."""
DESCRIPTION = make_app(
    NO_RECOMMENDER, ServeSettings(token=TOKEN, upstream="http://127.0.0.1:9/v1", playground=False)
).openapi()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service with a token, a store and an upstream, in a process of its own."""
    folder = tmp_path_factory.mktemp("served") / "recommender"
    Recommender().fit(SyntheticWorld(n_queries=320, interaction=3, seed=2).demonstrations).save(folder)
    llm = SimulatedLLM([lambda _: "an answer"])
    command = [sys.executable, "-c", "from prompt_oirl.cli import main; main()", "serve", str(folder), "--port", "0"]
    with (
        llm,
        subprocess.Popen(
            [*command, "--budget-ms", "1000", "--explore", "0.2", "--upstream", llm.base_url],
            env=os.environ | {"PROMPT_OIRL_SERVE_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout
        line = process.stdout.readline()
        assert line, process.communicate()
        yield re.search(r"http://\S+?:\d+", line)[0]  # type: ignore[index]
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert all(re.fullmatch(r"\S+ INFO reloaded: .*", line) for line in err.splitlines()), err


def test_what_is_tested_here_is_what_the_service_says_of_itself(address: str) -> None:
    request = urllib.request.Request(f"{address}/openapi.json", headers=BEARER)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        assert json.load(answer) == DESCRIPTION


schema = schemathesis.openapi.from_dict(DESCRIPTION)

GATEWAY = ("/v1/chat/completions", "/v1/models")
UPSTREAMS = [schemathesis.checks.positive_data_acceptance]
"""What a conversation may hold is the upstream's to say."""


@schema.auth()
class _Token:
    def get(self, case: Any, context: Any) -> str:
        return TOKEN

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_documented_and_none_is_a_mistake_inside(case: Any, address: str) -> None:
    case.call_and_validate(base_url=address, excluded_checks=UPSTREAMS if case.path in GATEWAY else [])
