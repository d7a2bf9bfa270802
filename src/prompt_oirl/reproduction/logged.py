"""The demonstrations that the tables without leakage rest on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.sources.release import Release
from prompt_oirl.sources.release_prompts import TRAINING_PROMPTS
from prompt_oirl.sources.selection_arrays import LLM

__all__ = ["load_logged"]


def load_logged(data: Path, parameters: Mapping[str, Any], *, table: str) -> tuple[Demonstrations, dict[str, Any]]:
    """Return the demonstrations of the training prompts that have logs, and the fields that all rows share.

    Args:
        data: The data folder.
        parameters: With `llm` and `dataset`; with `by` where it is not by template.
        table: Name of the table.
    """
    llm: LLM = parameters["llm"]
    demonstrations = Release(data).trials(llm, parameters["dataset"]).demonstrations(prompts=TRAINING_PROMPTS)
    logged = np.flatnonzero(demonstrations.trials.sum(axis=0))
    note = None
    if len(logged) < demonstrations.n_prompts:
        missing = sorted(set(TRAINING_PROMPTS) - set(logged.tolist()))
        note = f"prompts {missing} are left out: {int(demonstrations.unscored.sum())} failed logs"
    place = {
        "table": table, "llm": llm, "dataset": parameters["dataset"],
        "protocol": f"by_{parameters.get('by', 'template')}", "k": len(logged), "prompts": ",".join(map(str, logged)),
        "note": note,
    }  # fmt: skip
    return demonstrations.select_prompts(logged), place
