"""The files and folders that a user names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ArtifactError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.grading import get_grader
from prompt_oirl.prompts import read_prompts
from prompt_oirl.recommender.manifest import MANIFEST
from prompt_oirl.runs.export import demonstrations_of
from prompt_oirl.runs.logged_answers import logged_answers_of
from prompt_oirl.runs.run import Run, is_run
from prompt_oirl.sources.logged_answers import LoggedAnswer, read_logged_answers
from prompt_oirl.sources.tabular import read_demonstrations

__all__ = ["STORE_VARIABLE", "LogFiles", "check_free", "check_logs", "open_run", "read_answers", "read_logs"]

STORE_VARIABLE = "PROMPT_OIRL_STORE"
"""Environment variable that may hold the address of a run's PostgreSQL store, with its password."""

_FINDINGS = frozenset({"gain", "estimates", "evaluation", "findings", "verdict"})
"""Names in the JSON of what was found on logs; each has one of them."""


class LogFiles(NamedTuple):
    """What the user names logs by."""

    logs: Path
    prompts: Path | None = None
    grader: str | None = None
    ignore_extra_columns: bool = False

    def read(self) -> Demonstrations:
        """Read the logged trials; see `read_logs`."""
        return read_logs(
            self.logs, prompts=self.prompts, grader=self.grader, ignore_extra_columns=self.ignore_extra_columns
        )


def read_logs(
    path: Path, *, prompts: Path | None = None, grader: str | None = None, ignore_extra_columns: bool = False
) -> Demonstrations:
    """Read logged trials from a file, with a prompt set and a grader if they are named, or from a run.

    Raises:
        ParameterError: A prompt set is named for a run, which has its own.
        DataError: There are no logs.
    """
    if is_run(path):
        return _read_run(path, prompts=prompts, grader=grader)
    check_logs(path)
    return read_demonstrations(
        path,
        grader=None if grader is None else get_grader(grader),
        prompts=None if prompts is None else read_prompts(prompts),
        extra_columns="ignore" if ignore_extra_columns else "error",
    )


def check_logs(path: Path) -> None:
    """Refuse what somebody may take for logs: a recommender, a folder that is no run's, and what was found on logs.

    Raises:
        DataNotFoundError: It is such a folder; names the runs that are in it.
        FileFormatError: It is an evaluation or a report.
    """
    if (path / MANIFEST).is_file() and (path / "state.json").is_file():
        raise DataNotFoundError(
            f"{path} is a saved recommender; name the logs, and it where one is needed: "
            "inspect LOGS, evaluate RECOMMENDER LOGS, report LOGS --recommender RECOMMENDER"
        )
    if path.is_dir():
        runs = sorted(str(each) for each in path.iterdir() if is_run(each))
        raise DataNotFoundError(
            f"{path} is a folder, but not that of a run; name "
            + (f"the run that is in it ({', '.join(runs[:3])})" if runs else "the folder of a run that `collect` made")
            + " or a file of logs that ends in .jsonl, .csv or .parquet"
        )
    if path.suffix.lower() == ".json" and path.is_file() and _is_finding(path):
        raise FileFormatError(
            path,
            "is what was found on logs, an evaluation or a report; name the logs themselves: inspect LOGS, "
            "evaluate RECOMMENDER LOGS, report LOGS --recommender RECOMMENDER",
        )


def _is_finding(path: Path) -> bool:
    """Whether a file is JSON that `evaluate`, `demo`, `report` or `train` wrote."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and not _FINDINGS.isdisjoint(found)


def _read_run(folder: Path, *, prompts: Path | None, grader: str | None) -> Demonstrations:
    if prompts is not None:
        raise ParameterError(f"{folder} is a run and has its own prompts; leave --prompts {prompts} out")
    with open_run(folder) as run:
        return demonstrations_of(run.store, grader=None if grader is None else get_grader(grader))


def read_answers(path: Path, *, prompts: Path | None = None) -> Iterator[LoggedAnswer]:
    """Yield the answers behind the logged trials of a file or a run; nothing where only counts are in the file."""
    if is_run(path):
        with open_run(path) as run:
            yield from logged_answers_of(run.store)
        return
    yield from read_logged_answers(path, prompts=None if prompts is None else read_prompts(prompts))


@contextmanager
def open_run(folder: Path) -> Iterator[Run]:
    """Open a run that is there, and close it in the end; a PostgreSQL password may come from $PROMPT_OIRL_STORE."""
    with Run.open(folder, environment_url=os.environ.get(STORE_VARIABLE)) as run:
        yield run


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
