"""Values of options that are out of range are refused by the option's name."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from prompt_oirl.cli.app import app


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "-1"),
        ("--port", "65536"),
        ("--explore", "-0.1"),
        ("--explore", "1.5"),
        ("--budget-ms", "0"),
        ("--budget-ms", "nan"),
        ("--max-body-bytes", "0"),
        ("--max-queries", "0"),
        ("--max-query-characters", "0"),
        ("--max-messages", "-1"),
        ("--max-candidates", "0"),
        ("--max-concurrent", "0"),
        ("--upstream-timeout", "inf"),
    ],
)
def test_the_option_is_named(option: str, value: str) -> None:
    ended = CliRunner().invoke(app, ["serve", "recommender", option, value])
    assert ended.exit_code == 2
    assert f"Invalid value for '{option}': " in ended.output
