"""Turn LaTeX, Markdown and typographic variants into plain text that numbers can be read from."""

from __future__ import annotations

import re
from unicodedata import normalize

__all__ = ["boxed", "plain_text"]

_TYPOGRAPHY = str.maketrans({**dict.fromkeys("−–﹣－", "-"), "’": "'", "⁄": "/", "≈": "=", "\u00a0": " "})
_THIN_SPACED_THOUSANDS = re.compile(r"(?<=\d)[\u2009\u202f](?=\d{3}(?!\d))")
_VULGAR_FRACTION = re.compile("[¼-¾⅐-⅞]")
_LATEX = (
    (re.compile(r"\\[()\[\]]|\\(?:left|right|displaystyle|approx)(?![A-Za-z])|\$\$"), " "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=\d)\\[,!;:](?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\[,!;: ]|~"), " "),
    (re.compile(r"\\(?=[$%#&])"), ""),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "×"),
    (re.compile(r"\^\s?(?:\\circ|\{\\circ\})"), " degrees "),
    (re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"(?<=\d)\s*\\[dtc]?frac"), r" \\frac"),
    (re.compile(r"\\[dtc]?frac\s*\{[ ]*([^{}]*)\}\s*\{[ ]*([^{}]*)\}"), r"\1/\2"),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)"), r"\1/\2"),
    (re.compile(r"(?<!\d)(?:\*\*|__)|(?:\*\*|__)(?!\d)|`"), ""),
)
"""Applied in this order: inner commands before the fractions that hold them."""
_BOX_OR_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|(?<!\\)[{}]")


def plain_text(text: str) -> str:
    """Return the text with LaTeX commands resolved, emphasis dropped and one kind of minus, slash and space."""
    text = _THIN_SPACED_THOUSANDS.sub("", text).translate(_TYPOGRAPHY)
    text = _VULGAR_FRACTION.sub(lambda match: " " + normalize("NFKC", match[0]).replace("⁄", "/"), text)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def boxed(text: str) -> list[str]:
    r"""Return what each outermost `\boxed{…}` or `\fbox{…}` holds; one that is never closed holds nothing."""
    contents = []
    opened: list[int | None] = []  # for each open brace where its content starts, None if it is not a box's
    n_open_boxes = 0
    for token in _BOX_OR_BRACE.finditer(text):
        if token[0] != "}":
            is_box = len(token[0]) > 1
            opened.append(token.end() if is_box else None)
            n_open_boxes += is_box
        elif opened and (start := opened.pop()) is not None:
            n_open_boxes -= 1
            if n_open_boxes == 0:
                contents.append(text[start : token.start()])
    return contents
