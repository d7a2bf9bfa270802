"""The tables of a run's store, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from prompt_oirl.stores.any_text import AnyText

__all__ = ["SCHEMA_VERSION", "TABLES", "cells", "grades", "metadata", "notes", "prompts", "queries"]

SCHEMA_VERSION = "1"
"""Goes up with every change of the tables."""

_tables = MetaData()

metadata = Table("metadata", _tables, Column("name", Text, primary_key=True), Column("value", AnyText, nullable=False))
"""`schema_version`, the run's `configuration` as JSON, and the name of the latest `grader`."""

notes = Table("notes", _tables, Column("name", AnyText, primary_key=True), Column("value", AnyText, nullable=False))

queries = Table(
    "queries",
    _tables,
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("text", AnyText, nullable=False),
    Column("gold", AnyText),
)

prompts = Table(
    "prompts",
    _tables,
    Column("id", AnyText, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("definition", Text, nullable=False),
)
"""A definition is the template and the context as JSON."""

cells = Table(
    "cells",
    _tables,
    Column("key", LargeBinary(16), primary_key=True),
    Column("query_id", Text, ForeignKey(queries.c.id), nullable=False, index=True),
    Column("prompt_id", AnyText, ForeignKey(prompts.c.id), nullable=False),
    Column("sample", Integer, nullable=False),
    Column("propensity", Double, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("subject", LargeBinary(16)),
    Column("state", Text, nullable=False),
    Column("worker", AnyText),
    Column("lease_expires", Double),
    # What it has cost, all attempts and all answers included.
    Column("attempts", BigInteger, nullable=False, server_default="0"),
    Column("spent_prompt_tokens", BigInteger, nullable=False, server_default="0"),
    Column("spent_completion_tokens", BigInteger, nullable=False, server_default="0"),
    # The outcome that is kept: the first answer, or else the latest failure.
    Column("failure_kind", Text),
    Column("status", Integer),
    Column("message", AnyText),
    Column("model", AnyText),
    Column("finish_reason", AnyText),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("latency", Double),
    Column("finished_at", Double),
    Column("text", AnyText),
    # Covers the scan of all states, so that no answer is read for it.
    Index("cells_by_state", "state", "purpose", "key"),
)

grades = Table(
    "grades",
    _tables,
    Column("grader", AnyText, primary_key=True),
    Column("key", LargeBinary(16), ForeignKey(cells.c.key), primary_key=True),
    Column("grade", Text, nullable=False),
)

TABLES = _tables
"""All of them."""
