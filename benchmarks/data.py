"""What benchmarks run on: the released logs where they are at hand, else a synthetic world."""

from __future__ import annotations

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataNotFoundError
from prompt_oirl.sources.release import Release
from prompt_oirl.testing import SyntheticWorld


def logs(dataset: str, *, n_prompts: int = 6) -> tuple[str, Demonstrations]:
    """Return the name of the data and the LLaMA-2 demonstrations of a data set; 16 prompts have test rows only."""
    try:
        trials = Release.find().trials("llama-2-7b-chat", dataset)  # type: ignore[arg-type]
    except DataNotFoundError:
        return "synthetic world", SyntheticWorld(n_queries=4000, missing=0.0, unparsable=0.0).demonstrations
    part = "all" if n_prompts <= 6 else "test"
    return f"LLaMA-2 {dataset}", trials.demonstrations(part, prompts=range(n_prompts))  # type: ignore[arg-type]
