"""Names beside the points of a figure, placed so that they do not lie over each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prompt_oirl.report.texts import shown

__all__ = ["write_names"]

_LONGEST = 12
_SIZE = 8
_COLOUR = "#5b6670"
_WIDTH_OF_LETTER = 0.6
_MARGIN = 0.12
_GAPS = (3, 9, 16, 24, 34)
"""Between a point and its name, in points of type: the first at which there is room."""


@dataclass(frozen=True)
class _Box:
    """A rectangle on the figure, in points of type."""

    left: float
    bottom: float
    width: float
    height: float

    def hides(self, other: _Box) -> bool:
        """Return whether two rectangles have something in common."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.bottom < other.bottom + other.height
            and other.bottom < self.bottom + self.height
        )


def write_names(
    axes: Any, points: Sequence[tuple[float, float, str]], *, around: Sequence[Sequence[tuple[float, float]]]
) -> None:
    """Write a name beside each point, nearest where there is room.

    Args:
        axes: Of matplotlib, with all else drawn on it.
        points: x, y and name of each.
        around: Lines of points that names are not to hide.
    """
    if not points:
        return
    axes.margins(x=_MARGIN)
    axes.figure.draw_without_rendering()  # lays the axes out, so that places are known
    scale = 72 / axes.figure.dpi
    places = [_place(axes, x, y) for x, y, _ in points]
    frame = _Box(*(scale * side for side in axes.bbox.bounds))
    taken = [_Box(x - 2, y - 2, 4, 4) for line in around for x, y in _along([_place(axes, *each) for each in line])]
    for (x, y, name), place in sorted(zip(points, places, strict=True), key=lambda each: -each[1][1]):
        label = shown(name, _LONGEST)
        box = _free(place, _WIDTH_OF_LETTER * _SIZE * len(label), taken, frame)
        taken.append(box)
        offset = box.left - place[0], box.bottom - place[1] + 0.2 * _SIZE
        written = axes.annotate(label, (x, y), offset, textcoords="offset points", fontsize=_SIZE, color=_COLOUR)
        written.set_in_layout(False)


def _place(axes: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a point is on the figure, in points of type."""
    across, up = (72 / axes.figure.dpi * axes.transData.transform((x, y))).tolist()
    return across, up


def _along(line: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the points of a line and those half-way between."""
    for (x, y), (next_x, next_y) in zip(line, [*line[1:], line[-1]], strict=True):
        yield x, y
        yield (x + next_x) / 2, (y + next_y) / 2


def _free(place: tuple[float, float], width: float, taken: Sequence[_Box], frame: _Box) -> _Box:
    """Return the first place about a point where a name hides nothing, the first of all if there is none."""
    around = list(_around(place, width))
    inside = [
        box
        for box in around
        if frame.left <= box.left
        and box.left + box.width <= frame.left + frame.width
        and frame.bottom <= box.bottom
        and box.bottom + box.height <= frame.bottom + frame.height
    ]
    return next((box for box in inside if not any(box.hides(other) for other in taken)), around[0])


def _around(place: tuple[float, float], width: float) -> Iterator[_Box]:
    (x, y), height = place, 1.2 * _SIZE
    for gap in _GAPS:
        yield _Box(x + min(gap, 6), y + gap - 2, width, height)
        yield _Box(x + min(gap, 6), y - gap - height + 2, width, height)
        yield _Box(x - min(gap, 6) - width, y + gap - 2, width, height)
        yield _Box(x - min(gap, 6) - width, y - gap - height + 2, width, height)
        yield _Box(x - width / 2, y + gap, width, height)
        yield _Box(x - width / 2, y - gap - height, width, height)
