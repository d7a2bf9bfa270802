"""What gateways add to a call: `make bench-peers`, or `python benchmarks/gateways.py` where .venv-peers is there.

The same upstream, which answers at once, is asked directly, through `prompt-oirl serve`, through LiteLLM's proxy and
through RouteLLM's server with its `random` router, which chooses without looking at the query: one request at a time
over one connection that is kept open, each way in turn, round by round. What a way adds is its median time less the
direct one's of the same round. Prints one line of JSON a gateway.

The others run with uvloop, httptools and what else makes them fast, without access log and, LiteLLM, without keys or
database; ours makes, logs and stores a decision on each request. Only loopback can be reached from them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path

from served import train, write_requests
from servers import HERE, Server, running, service, upstream
from traffic import Seen, Traffic, in_turn, warm_up

PEERS = HERE.parent / ".venv-peers" / "bin"
OURS = "prompt-oirl"
AT_LEAST_TIMES = {"LiteLLM proxy": 5, "RouteLLM random": 2}
DISTRIBUTIONS = {"LiteLLM proxy": "litellm", "RouteLLM random": "routellm"}
MODELS = {"RouteLLM random": "router-random-0.5"}

_NOWHERE = "http://127.0.0.1:9"
_ONLY_LOOPBACK = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NOWHERE),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
    **dict.fromkeys(("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "1"),
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
}
_LITELLM = {
    **_ONLY_LOOPBACK,
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
}


@contextmanager
def litellm(upstream: str, folder: Path) -> Iterator[Server]:
    """Run LiteLLM's proxy."""
    parameters = {"model": "openai/fixed", "api_base": upstream, "api_key": "none"}
    configuration = folder / "litellm.yaml"  # JSON is YAML
    configuration.write_text(json.dumps({"model_list": [{"model_name": "fixed", "litellm_params": parameters}]}))
    command: list[str | Path] = [
        PEERS / "litellm",
        "--config",
        configuration,
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
    ]
    with running([*command, "--telemetry", "False"], ready="/health/liveliness", environment=_LITELLM) as server:
        yield server


@contextmanager
def routellm(upstream: str) -> Iterator[Server]:
    """Run RouteLLM's server."""
    command: list[str | Path] = [PEERS / "python", HERE / "peers" / "routellm_server.py", "{port}", upstream]
    with running(command, ready="/openapi.json", environment=_ONLY_LOOPBACK) as server:
        yield server


def version(gateway: str) -> str:
    """Return the version of a gateway."""
    if gateway == OURS:
        return metadata.version("prompt-oirl")
    code = f"from importlib.metadata import version; print(version({DISTRIBUTIONS[gateway]!r}))"
    return subprocess.run([PEERS / "python", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def traffic(name: str, base_url: str, folder: Path, *, seconds: float) -> Traffic:
    """Return one connection's worth of requests to a gateway, under the model's name that it wants."""
    bodies = folder / f"{MODELS.get(name, 'chat')}.jsonl"
    if not bodies.is_file():
        asked = (json.loads(line) for line in (folder / "chat.jsonl").read_text(encoding="utf-8").splitlines())
        bodies.write_text("".join(json.dumps({**each, "model": MODELS[name]}) + "\n" for each in asked))
    return Traffic(url=f"{base_url}/v1/chat/completions", bodies=str(bodies), concurrency=1, seconds=seconds)


def row(name: str, found: dict[str, list[Seen]], server: Server) -> dict[str, object]:
    """Compare a gateway with the direct way, and with ours."""
    added, ours = (
        [through.p50 - direct.p50 for through, direct in zip(found[each], found["direct"], strict=True)]
        for each in (name, OURS)
    )
    return {
        "gateway": name,
        "version": version(name),
        "rounds": len(added),
        "direct_p50_ms": round(statistics.median(seen.p50 for seen in found["direct"]), 3),
        "added_p50_ms": round(statistics.median(added), 3),
        "lowest": round(min(added), 3),
        "highest": round(max(added), 3),
        "times_as_much_as_ours": round(statistics.median(a / b for a, b in zip(added, ours, strict=True)), 1),
        "at_least_times": AT_LEAST_TIMES.get(name),
        "mib": round(server.mib),
        "seconds_to_ready": round(server.seconds_to_ready, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="that each way is asked for in a round")
    parser.add_argument("--json", action="store_true", help="one line of JSON a gateway (always so)")
    arguments = parser.parse_args()
    if not PEERS.is_dir():
        sys.exit("the other gateways are not installed: make bench-peers")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        write_requests(folder)
        recommender = train(folder)
        base_url = stack.enter_context(upstream())
        servers = {
            "LiteLLM proxy": stack.enter_context(litellm(base_url, folder)),
            "RouteLLM random": stack.enter_context(routellm(base_url)),
            OURS: stack.enter_context(service(recommender, store=folder / "log.sqlite", upstream=base_url)),
        }
        urls = {"direct": base_url.removesuffix("/v1"), **{each: server.url for each, server in servers.items()}}
        ways = {each: traffic(each, url, folder, seconds=arguments.seconds) for each, url in urls.items()}
        warm_up(ways)
        found = in_turn(ways, n_rounds=arguments.rounds)
        for each, server in servers.items():
            print(json.dumps(row(each, found, server)), flush=True)


if __name__ == "__main__":
    main()
