"""Import optional packages at use, with a message that says how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from prompt_oirl.errors import MissingDependencyError

__all__ = ["import_optional"]


def import_optional(module: str, *, extra: str) -> ModuleType:
    """Import and return `module`, which comes with the extra of that name.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise MissingDependencyError(
            f"{module!r} is not installed; install it with: pip install 'prompt-oirl[{extra}]'"
        ) from error
