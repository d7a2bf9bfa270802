from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'prompt-oirl[report]'")

from prompt_oirl.report.figures import Bar, Series, draw_bars, draw_lines

EVIL = '<script>x</script> $\\frac{1}{0}$ & "quoted" 漢字 \x07'


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in parsed(svg).iter() if each.tag.endswith("}text")]


def test_labels_are_texts_and_nothing_else() -> None:
    svg = draw_bars("some", [Bar(EVIL, 1.0, 0.5, 1.5)], title=EVIL, x_label="gain", zero=True)
    labels = texts(svg)
    assert any(label.startswith("<script>x</script> $\\fra") for label in labels), labels
    assert parsed(svg).get("aria-label") == EVIL.replace("\x07", "␇")
    assert "<script" not in svg
    assert "gain" in labels


def test_figures_share_no_id_and_bring_no_style() -> None:
    line = Series("measured", [1, 2, 4], [0.1, 0.2, 0.3], [0.0, 0.1, 0.2], [0.2, 0.3, 0.4])
    made = [draw_lines(name, [line], title="t", x_label="x", y_label="y", zero=True) for name in ("a", "b")]
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in made]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip(made, ids, strict=True):
        assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)) != set()
        referred = {a or b for a, b in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)}
        assert referred <= own
        assert "<style" not in svg
        assert "<metadata" not in svg
        assert not re.search(r'(href|src)="(?!#)', svg)


def test_names_of_points_do_not_lie_over_each_other() -> None:
    pytest.importorskip("matplotlib")
    names = ["small-steps", "facts-first", "check", "equation", "retell", "at-once"]
    x, y = [64.2, 67.4, 69.0, 67.2, 58.3, 35.3], [58.2, 60.4, 58.2, 47.8, 42.2, 54.1]
    line = Series("one prompt", x, y, is_main=False, is_joined=False, names=names)
    svg = draw_lines("cost", [line], title="t", x_label="x", y_label="y")
    written = re.findall(r'x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)</text>', svg)
    places = {name: (float(left), float(bottom)) for left, bottom, name in written if name in names}
    assert places.keys() == set(names)
    for first, second in combinations(sorted(places, key=places.get), 2):  # type: ignore[arg-type]
        (left, bottom), (other_left, other_bottom) = places[first], places[second]
        assert left + 4.4 * len(first) < other_left or abs(bottom - other_bottom) >= 8, (first, second)


def test_the_same_figure_is_drawn_twice_the_same() -> None:
    bars = [Bar("a", 1.0), Bar("b", -2.0, -3.0, -1.0, is_main=False)]
    first, second = (draw_bars("some", bars, title="t", x_label="x") for _ in range(2))
    assert first == second
    assert first.startswith('<svg class="chart" role="img"')
