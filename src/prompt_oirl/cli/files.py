"""The files and folders that a user names."""

from __future__ import annotations

from pathlib import Path

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError
from prompt_oirl.grading import get_grader
from prompt_oirl.prompts import read_prompts
from prompt_oirl.sources.tabular import read_demonstrations

__all__ = ["check_free", "read_logs"]


def read_logs(
    path: Path, *, prompts: Path | None = None, grader: str | None = None, ignore_extra_columns: bool = False
) -> Demonstrations:
    """Read logged trials, with a prompt set and a grader if they are named."""
    return read_demonstrations(
        path,
        grader=None if grader is None else get_grader(grader),
        prompts=None if prompts is None else read_prompts(prompts),
        extra_columns="ignore" if ignore_extra_columns else "error",
    )


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that is taken before minutes are spent on what would go there.

    Raises:
        ArtifactError: Something is there, and it is not to be replaced.
    """
    is_taken = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    if is_taken and not overwrite:
        raise ArtifactError(
            f"{folder} exists and is not empty; name another folder, or add --overwrite to replace a recommender"
        )
