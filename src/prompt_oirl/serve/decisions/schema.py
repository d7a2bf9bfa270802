"""The tables of a decision store, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, MetaData, Table, Text

from prompt_oirl.stores.any_text import AnyText

__all__ = ["CONTENT", "SCHEMA_VERSION", "TABLES", "decisions", "feedbacks", "metadata", "recommenders"]

SCHEMA_VERSION = "1"
"""Goes up with every change of the tables."""

CONTENT = "decisions"
"""What the metadata says that the tables hold; a run's store has a table of the same name."""

TABLES = MetaData()
"""All of them."""

metadata = Table("metadata", TABLES, Column("name", Text, primary_key=True), Column("value", AnyText, nullable=False))
"""`content` and `schema_version`."""

decisions = Table(
    "decisions",
    TABLES,
    Column("id", AnyText, primary_key=True),
    Column("query_id", AnyText, nullable=False),
    Column("query", AnyText),
    Column("prompt_id", AnyText, nullable=False),
    Column("score", Double),
    Column("propensity", Double, nullable=False),
    Column("candidates", AnyText),
    Column("choice", AnyText, nullable=False),
    Column("source", AnyText, nullable=False),
    Column("recommender", AnyText, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("created", Double, nullable=False),
    Index("decisions_by_time", "created", "id"),
)
"""The fields of a `Decision`; `candidates` as a JSON list, NULL for all of the recommender's prompts."""

feedbacks = Table(
    "feedbacks",
    TABLES,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("decision_id", AnyText, ForeignKey(decisions.c.id), nullable=False),
    Column("reward", Double, nullable=False),
    Column("created", Double, nullable=False),
    Index("feedbacks_by_decision", "decision_id", "number"),
)
"""All that was ever given; of one decision's, the one of the highest number counts."""

recommenders = Table(
    "recommenders",
    TABLES,
    Column("version", AnyText, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("prompt_id", AnyText, nullable=False),
    Column("definition", Text, nullable=False),
)
"""The prompts of each version, in order; a definition is the template and the context as JSON."""
