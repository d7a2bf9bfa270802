"""What the service is measured with: a recommender among 16 prompts, and queries that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from prompt_oirl import Demonstrations, Prompt, Recommender
from prompt_oirl.testing import SyntheticWorld

N_PROMPTS = 16
_N_ASKED = 5_000
"""More than would fit a small cache of answers; each has a text of its own."""


def demonstrations(*, n_queries: int = 2_000, n_prompts: int = N_PROMPTS, seed: int = 0) -> Demonstrations:
    """Return one trial of each prompt on each query of a synthetic world, whose six prompts become more by blending.

    A prompt beyond the sixth succeeds as the mean of two of them does.
    """
    world = SyntheticWorld(n_queries=n_queries, seed=seed)
    rng = np.random.default_rng([seed, n_prompts])
    n_own = len(world.prompts)
    pairs = [tuple(rng.choice(n_own, size=2, replace=False)) for _ in range(n_prompts - n_own)]
    prompts = list(world.prompts) + [
        Prompt.from_text(f"{world.prompts[a].text} {world.prompts[b].text}", id=f"blend-{number}")
        for number, (a, b) in enumerate(pairs)
    ]
    own = world.success_probabilities
    probabilities = np.column_stack([own, *(own[:, pair].mean(axis=1) for pair in pairs)])
    rows, columns = np.divmod(np.arange(probabilities.size), n_prompts)
    rewards = (rng.random(probabilities.size) < probabilities.ravel()).astype(np.int64)
    return Demonstrations.from_cells(world.queries, prompts, rows=rows, columns=columns, rewards=rewards)


def train(folder: Path) -> Path:
    """Train and save a recommender, and return its folder."""
    with threadpool_limits(1):
        Recommender().fit(demonstrations()).save(folder / "recommender")
    return folder / "recommender"


def write_requests(folder: Path) -> None:
    """Write bodies of requests: recommend.jsonl, chat.jsonl and stream.jsonl."""
    queries = [query.text for query in SyntheticWorld(n_queries=_N_ASKED, seed=1).queries]
    chats: list[dict[str, object]] = [
        {"model": "fixed", "messages": [{"role": "user", "content": query}]} for query in queries
    ]
    bodies: dict[str, list[dict[str, object]]] = {
        "recommend": [{"query": query} for query in queries],
        "chat": chats,
        "stream": [{**chat, "stream": True} for chat in chats],
    }
    for name, rows in bodies.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
