"""The queries and prompts of a run, in the order in which they first came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from prompt_oirl.errors import DataError, StoreError
from prompt_oirl.prompts import check_distinct
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.rows import prompt_definition, prompt_of
from prompt_oirl.runs.schema import cells, grades, metadata, prompts, queries
from prompt_oirl.stores.database import Database

__all__ = ["read_prompts_of", "read_queries_of", "register"]

_BATCH = 500
"""Of ids in one statement."""


def register(database: Database, given_queries: Sequence[Question], given_prompts: Sequence[Prompt]) -> None:
    """Add what is new, and replace golds that have changed; a gold that is not given stays as it was.

    Grades of the answers to a query whose gold has changed are removed: they are no longer its grades.

    Raises:
        DataError: A query is given with two golds, or two prompts share an id or a wording.
        StoreError: A prompt has another wording than the run's prompt of that id, or another id than the run's
            prompt of that wording.
    """
    by_id = _distinct(given_queries)
    check_distinct(given_prompts)
    with database.writing() as connection:
        # One at a time, or two workers would give out the same positions; SQLite has one writer anyway.
        connection.execute(select(metadata.c.name).where(metadata.c.name == "schema_version").with_for_update())
        _add_queries(connection, by_id)
        _add_prompts(connection, given_prompts, name=database.name)


def read_queries_of(connection: Connection) -> tuple[Question, ...]:
    """Return the queries in the order of their registration."""
    rows = connection.execute(select(queries.c.text, queries.c.gold).order_by(queries.c.position))
    return tuple(Question(Query(text), gold) for text, gold in rows)


def read_prompts_of(connection: Connection) -> tuple[Prompt, ...]:
    """Return the prompts in the order of their registration."""
    rows = connection.execute(select(prompts.c.id, prompts.c.definition).order_by(prompts.c.position))
    return tuple(prompt_of(id, definition) for id, definition in rows)


def _distinct(given: Sequence[Question]) -> dict[str, Question]:
    by_id: dict[str, Question] = {}
    for each in given:
        first = by_id.setdefault(each.query.id, each)
        if first.gold != each.gold:
            raise DataError(
                f"the query {each.query.text[:60]!r} is given with two gold answers, {first.gold!r} and {each.gold!r}; "
                "keep the right one"
            )
    return by_id


def _add_queries(connection: Connection, given: dict[str, Question]) -> None:
    stored = {row.id: row.gold for row in connection.execute(select(queries.c.id, queries.c.gold))}
    new = [each for id, each in given.items() if id not in stored]
    rows = [
        {"id": each.query.id, "position": position, "text": each.query.text, "gold": each.gold}
        for position, each in enumerate(new, start=len(stored))
    ]
    if rows:
        connection.execute(queries.insert(), rows)
    changed = {id: each.gold for id, each in given.items() if id in stored and each.gold not in (None, stored[id])}
    if changed:
        _replace_golds(connection, changed)


def _replace_golds(connection: Connection, golds: Mapping[str, str | None]) -> None:
    replace = update(queries).where(queries.c.id == bindparam("of_query")).values(gold=bindparam("corrected"))
    connection.execute(replace, [{"of_query": id, "corrected": gold} for id, gold in golds.items()])
    ids = list(golds)
    for start in range(0, len(ids), _BATCH):
        answers = select(cells.c.key).where(cells.c.query_id.in_(ids[start : start + _BATCH]))
        connection.execute(delete(grades).where(grades.c.key.in_(answers)))


def _add_prompts(connection: Connection, given: Sequence[Prompt], *, name: str) -> None:
    stored = {row.id: row.definition for row in connection.execute(select(prompts.c.id, prompts.c.definition))}
    id_of = {definition: id for id, definition in stored.items()}
    rows: list[dict[str, Any]] = []
    for each in given:
        definition = prompt_definition(each)
        if stored.get(each.id, definition) != definition:
            raise StoreError(
                f"{name}: the prompt {each.id!r} has another wording than in the run, where it is "
                f"{stored[each.id]:.120}; give the new wording a new id, or use another --out"
            )
        if id_of.get(definition, each.id) != each.id:
            raise StoreError(
                f"{name}: the prompt {each.id!r} has the wording that is {id_of[definition]!r} in the run; call it "
                "that, or use another --out"
            )
        if each.id not in stored:
            rows.append({"id": each.id, "position": len(stored) + len(rows), "definition": definition})
    if rows:
        connection.execute(prompts.insert(), rows)
