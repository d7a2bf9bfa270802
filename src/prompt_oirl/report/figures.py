"""Small figures as inline SVG: drawn by matplotlib, readable at 390 px, with texts that stay texts."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prompt_oirl.optional import import_optional
from prompt_oirl.report.point_names import write_names
from prompt_oirl.report.texts import harmless, shown

__all__ = ["ACCENT", "Bar", "Series", "draw_bars", "draw_lines"]

ACCENT = "#1f5fa8"
QUIET = "#5b6670"
RULE = "#c3cad1"

_WIDTH = 4.5
_SIZE = 9
_LONGEST_LABEL = 26
_STYLE = {
    "font.size": _SIZE,
    "axes.labelsize": _SIZE,
    "axes.edgecolor": RULE,
    "axes.labelcolor": "#1b1f24",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": "#1b1f24",
    "ytick.labelcolor": "#1b1f24",
    "xtick.labelsize": _SIZE,
    "ytick.labelsize": _SIZE,
    "axes.unicode_minus": True,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.usetex": False,
    "path.simplify": True,
}
_OPENING = re.compile(r"<svg\b[^>]*>", re.S)
_VIEW_BOX = re.compile(r'viewBox="([\d. -]+)"')
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.S)
_GLOBAL_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>\s*", re.S)
_ID = re.compile(r'(\bid="|url\(#|href="#)')


@dataclass(frozen=True)
class Series:
    """A line with its interval, in the units that are drawn."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    is_main: bool = True
    is_marked: bool = True
    """Whether its points are marked."""

    is_joined: bool = True
    """Whether a line joins the points, and a band their intervals."""

    names: Sequence[str] | None = None
    """What to write beside each point."""

    @property
    def xy(self) -> list[tuple[float, float]]:
        """The points."""
        return list(zip(self.x, self.y, strict=True))

    @property
    def named_points(self) -> list[tuple[float, float, str]]:
        """The points that have names, with these."""
        return [] if self.names is None else list(zip(self.x, self.y, self.names, strict=True))


@dataclass(frozen=True)
class Bar:
    """One row of a bar or interval chart, in the units that are drawn."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    is_main: bool = True


def draw_lines(
    name: str,
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    zero: bool = False,
    diagonal: bool = False,
    log_x: bool = False,
    whole_x: bool = False,
    height: float = 2.7,
) -> str:
    """Draw lines with bands.

    Args:
        name: Of the figure, unique on the page.
        series: In the order they are drawn; the main one in the accent colour.
        title: What a screen reader says instead.
        x_label: Of the x axis, with its unit.
        y_label: Of the y axis, with its unit.
        zero: Whether to rule a line at y = 0.
        diagonal: Whether to rule the line y = x.
        log_x: Whether the x axis is logarithmic, with a tick at each point.
        whole_x: Whether only whole numbers are on the x axis.
        height: In inches.
    """
    with _axes(name, title, height) as (axes, made):
        if zero:
            axes.axhline(0, color=QUIET, linewidth=0.8)
        if diagonal:
            axes.axline((0, 0), slope=1, color=RULE, linewidth=1, dashes=(4, 3))
        for each in series:
            _draw_series(axes, each)
        if log_x:
            axes.set_xscale("log")
            ticks = sorted({x for each in series for x in each.x})
            axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
            axes.minorticks_off()
        if whole_x:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if len(series) > 1:
            where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": len(series), "borderaxespad": 0.2}
            axes.legend(frameon=False, fontsize=_SIZE - 1, labelcolor="#1b1f24", **where)
        write_names(axes, [each for line in series for each in line.named_points], around=[line.xy for line in series])
    return made[0]


def draw_bars(
    name: str, bars: Sequence[Bar], *, title: str, x_label: str, zero: bool = False, filled: bool = True
) -> str:
    """Draw one horizontal bar, or one point with its interval, a row; the first is on top.

    Args:
        name: Of the figure, unique on the page.
        bars: The main ones are drawn in the accent colour.
        title: What a screen reader says instead.
        x_label: Of the x axis, with its unit.
        zero: Whether to rule a line at 0.
        filled: Bars from 0 with their interval; points with their interval otherwise.
    """
    with _axes(name, title, 0.75 + 0.3 * len(bars)) as (axes, made):
        heights = range(len(bars))[::-1]
        for height, bar in zip(heights, bars, strict=True):
            colour = ACCENT if bar.is_main else QUIET
            if filled:
                axes.barh(height, bar.value, height=0.62, color=colour, alpha=0.35)
            spread = None if bar.low is None or bar.high is None else [[bar.value - bar.low], [bar.high - bar.value]]
            axes.errorbar(
                bar.value, height, xerr=spread, fmt="o", color=colour, markersize=4, capsize=2.5, linewidth=1.4
            )
        if zero:
            axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.set_yticks(list(heights), [shown(bar.label, _LONGEST_LABEL) for bar in bars])
        axes.set_ylim(-0.6, len(bars) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="#e6eaee", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(x_label)
    return made[0]


def _draw_series(axes: Any, series: Series) -> None:
    colour = ACCENT if series.is_main else QUIET
    if series.low is not None and series.high is not None and not series.is_joined:
        below = [y - low for y, low in zip(series.y, series.low, strict=True)]
        above = [high - y for y, high in zip(series.y, series.high, strict=True)]
        axes.errorbar(series.x, series.y, yerr=[below, above], fmt="none", color=colour, capsize=2.5, linewidth=1.2)
    elif series.low is not None and series.high is not None:
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        series.x,
        series.y,
        color=colour,
        linewidth=1.6,
        linestyle="-" if series.is_joined else "none",
        marker="o" if series.is_marked else None,
        markersize=3.5,
        label=shown(series.label, _LONGEST_LABEL + 8),
    )


@contextmanager
def _axes(name: str, title: str, height: float) -> Iterator[tuple[Any, list[str]]]:
    """Yield axes to draw on and a list that holds the SVG when the block has ended."""
    matplotlib = import_optional("matplotlib", extra="report")
    figure_module = import_optional("matplotlib.figure", extra="report")
    made: list[str] = []
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = figure_module.Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure.subplots(), made
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    made.append(_inline(out.getvalue(), name, title))


def _inline(svg: str, name: str, title: str) -> str:
    """Return what stands in a page: no prologue, no style of its own, ids that no other figure has, a name."""
    from markupsafe import escape

    opening = _OPENING.search(svg)
    view_box = _VIEW_BOX.search(svg)
    if opening is None or view_box is None:
        raise RuntimeError("matplotlib wrote no SVG")
    body = _GLOBAL_STYLE.sub("", _METADATA.sub("", svg[opening.end() :]))
    body = _ID.sub(rf"\g<1>{name}-", body)
    start = (
        f'<svg class="chart" role="img" aria-label="{escape(harmless(title))}" viewBox="{view_box[1]}" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return start + body.strip()
