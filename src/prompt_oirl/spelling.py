"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

__all__ = ["did_you_mean"]


def did_you_mean(name: object, known: Iterable[str], *, synonyms: Mapping[str, str] | None = None) -> str:
    """Return `; did you mean 'query'?` for a name close to a known one, else nothing: the end of an error message.

    Args:
        name: What was found.
        known: The names that could have stood there.
        synonyms: Known names by other words for them, such as `{"question": "query"}`.
    """
    found = str(name).strip().lower()
    meant = (synonyms or {}).get(found) or next(iter(get_close_matches(found, list(known), n=1, cutoff=0.75)), None)
    return f"; did you mean {meant!r}?" if meant else ""
