"""The part of logs that a recommender has not learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from prompt_oirl.cli.files import LogFiles
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, LeakageError
from prompt_oirl.recommender import Recommender

__all__ = ["HeldOutPart", "held_out_part", "with_way_out"]


class HeldOutPart(NamedTuple):
    """What logs are judged on, and how many of their queries were left out for it."""

    demonstrations: Demonstrations
    n_dropped: int

    @property
    def n_queries(self) -> int:
        """Number of queries that the logs have."""
        return self.demonstrations.n_queries + self.n_dropped


def held_out_part(recommender: Recommender | None, files: LogFiles, *, drop_seen: bool) -> HeldOutPart:
    """Read logs, less the queries that were in training where these are to be left out.

    Raises:
        DataError: All queries were in training.
    """
    demonstrations = files.read()
    if recommender is None or not drop_seen:
        return HeldOutPart(demonstrations, 0)
    unseen = recommender.unseen(demonstrations)
    n_dropped = demonstrations.n_queries - unseen.n_queries
    if not unseen.n_queries:
        raise DataError(f"{files.logs}: all {n_dropped} queries were in training; name logs of other queries")
    return HeldOutPart(unseen, n_dropped)


@contextmanager
def with_way_out(logs: Path) -> Iterator[None]:
    """Let an error about queries that were in training name the logs and the option that leaves them out."""
    try:
        yield
    except LeakageError as error:
        raise LeakageError(f"{logs}: {error}: add --drop-seen") from error
