"""One thread for linear algebra: on a busy machine several spin against each other, and lose up to twentyfold."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

__all__ = ["one_blas_thread"]


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which NumPy's and SciPy's linear algebra uses one thread."""
    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits
