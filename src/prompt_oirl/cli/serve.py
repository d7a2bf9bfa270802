"""`prompt-oirl serve`: recommendations over HTTP, and a gateway in front of an LLM."""

from __future__ import annotations

import logging
import signal

from prompt_oirl.cli import serve_options as given

__all__ = ["serve"]


def serve(
    folder: given.RecommenderFolder,
    host: given.Host = "127.0.0.1",
    port: given.Port = 8080,
    upstream: given.Upstream = None,
    store: given.ServeStore = None,
    no_store: given.NoStore = False,
    explore: given.Explore = 0.0,
    budget_ms: given.BudgetMs = 50.0,
    log_queries: given.LogQueries = False,
    playground: given.Playground = None,
    max_body_bytes: given.MaxBodyBytes = 4 * 2**20,
    max_queries: given.MaxQueries = 256,
    max_query_characters: given.MaxQueryCharacters = 20_000,
    max_messages: given.MaxMessages = 1_000,
    max_candidates: given.MaxCandidates = 1_000,
    max_concurrent: given.MaxConcurrent = 512,
    upstream_timeout: given.UpstreamTimeout = 600.0,
) -> None:
    """Recommend prompts over HTTP; with --upstream, put them into what clients of an LLM send.

    Secrets come from the environment: PROMPT_OIRL_SERVE_TOKEN, which clients have to give then,
    PROMPT_OIRL_UPSTREAM_KEY, and PROMPT_OIRL_STORE for a store's address with a password. SIGHUP, or POST /v1/reload,
    loads the folder again; Ctrl-C or SIGTERM finishes what is under way, and stops.

    Example: prompt-oirl serve recommender/ --upstream https://api.openai.com/v1
    """
    _ignore_hang_up()
    _log_with_time_and_level()

    from prompt_oirl.cli import serving
    from prompt_oirl.serve.settings import Limits, ServeSettings

    secrets = serving.Secrets.of_environment()
    settings = ServeSettings(
        host=host,
        port=port,
        token=secrets.token,
        upstream=upstream,
        upstream_key=secrets.upstream_key,
        explore=explore,
        budget_seconds=budget_ms / 1000,
        log_queries=log_queries,
        playground=serving.is_playground_wanted(playground),
        limits=Limits(
            body_bytes=max_body_bytes,
            queries=max_queries,
            query_characters=max_query_characters,
            messages=max_messages,
            candidates=max_candidates,
            concurrent_requests=max_concurrent,
            upstream_seconds=upstream_timeout,
        ),
    )
    serving.serve(folder, settings, store=None if no_store else serving.store_url(folder, store, secrets.store))


def _ignore_hang_up() -> None:
    """Have SIGHUP not end the process before the service handles it: what it asks for, loading, is to come."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _log_with_time_and_level() -> None:
    """Write what this package and its server log to standard error; of the package what it does, too."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z")
    logging.getLogger("prompt_oirl").setLevel(logging.INFO)
