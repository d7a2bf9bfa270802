from __future__ import annotations

from prompt_oirl.runs.schema import SCHEMA_VERSION, TABLES


def test_a_change_of_the_tables_changes_the_version() -> None:
    """If this fails, raise SCHEMA_VERSION too: a store with the former tables must not be opened as if it had these."""
    columns = {table.name: len(table.columns) for table in TABLES.sorted_tables}
    assert (SCHEMA_VERSION, columns) == (
        "1",
        {"metadata": 2, "notes": 2, "prompts": 3, "queries": 4, "cells": 23, "grades": 3},
    )
