from __future__ import annotations

import re
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


def test_the_same_figure_is_drawn_twice_the_same() -> None:
    bars = [Bar("a", 1.0), Bar("b", -2.0, -3.0, -1.0, is_main=False)]
    first, second = (draw_bars("some", bars, title="t", x_label="x") for _ in range(2))
    assert first == second
    assert first.startswith('<svg class="chart" role="img"')
