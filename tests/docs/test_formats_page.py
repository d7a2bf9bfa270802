"""The page about formats names what the code writes."""

from __future__ import annotations

import re
from pathlib import Path

from prompt_oirl.reproduction.runner import TABLES


def test_the_tables_of_the_reproduction_are_all_named(repository: Path) -> None:
    row = re.search(r"^\| `table` \| (.+) \|$", (repository / "docs" / "formats.md").read_text("utf-8"), re.M)
    assert row is not None
    assert row[1] == ", ".join(f"`{name}`" for name in TABLES)
