"""Graders by name, as the command line and configurations give them."""

from __future__ import annotations

from collections.abc import Callable

from prompt_oirl.errors import ParameterError
from prompt_oirl.grading.choice import ChoiceGrader
from prompt_oirl.grading.numeric import NumericGrader
from prompt_oirl.grading.protocol import Grader
from prompt_oirl.grading.published import PublishedGrader
from prompt_oirl.grading.text import ExactGrader, RegexGrader

__all__ = ["GRADER_NAMES", "get_grader"]

_GRADERS: dict[str, Callable[[], Grader]] = {
    "choice": ChoiceGrader,
    "exact": ExactGrader,
    "exact:folded": lambda: ExactGrader(folded=True),
    "numeric": NumericGrader,
    "published": PublishedGrader,
}
_REGEX = "regex:"

GRADER_NAMES = (*_GRADERS, f"{_REGEX}<pattern>")
"""What `get_grader` knows."""


def get_grader(name: str) -> Grader:
    """Return the grader of that name.

    Args:
        name: "choice", "exact", "exact:folded" (case and white space ignored), "numeric", "published", or "regex:" and
            a pattern.

    Raises:
        ParameterError: There is no grader of that name, or the pattern is no regular expression.
    """
    if name.startswith(_REGEX):
        return RegexGrader(name.removeprefix(_REGEX))
    if name not in _GRADERS:
        raise ParameterError(f"there is no grader {name!r}; use one of {', '.join(GRADER_NAMES)}")
    return _GRADERS[name]()
