from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text, text

from prompt_oirl.errors import StoreError
from prompt_oirl.stores.database import Database
from prompt_oirl.stores.opening import StoreKind, find, find_or_create


def kind(*tables: str, version: str = "1", content: str | None = None) -> StoreKind:
    named = MetaData()
    Table("metadata", named, Column("name", Text, primary_key=True), Column("value", Text))
    for name in tables:
        Table(name, named, Column("word", Text))
    return StoreKind(named, version, content)


@pytest.fixture
def open_database(tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Opens one file, again and again."""
    opened: list[Database] = []

    def open_database() -> Database:
        opened.append(Database(f"sqlite:///{tmp_path / 'store.sqlite'}"))
        return opened[-1]

    yield open_database
    for database in opened:
        database.close()


def test_a_store_is_made_once(open_database: Callable[[], Database]) -> None:
    poems = kind("words", content="poems")
    stated = {"schema_version": "1", "content": "poems", "author": "me"}
    assert find_or_create(open_database(), poems, {"author": "me"}) == stated
    assert find_or_create(open_database(), poems, {"author": "you"}) == stated
    assert find(open_database(), poems) == stated


@pytest.mark.parametrize("is_empty", [True, False])
def test_where_there_is_none_nothing_is_made(
    open_database: Callable[[], Database], tmp_path: Path, is_empty: bool
) -> None:
    if is_empty:
        (tmp_path / "store.sqlite").touch()
    assert find(open_database(), kind()) is None
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0] * is_empty


@pytest.mark.parametrize(("made", "asked"), [("poems", None), (None, "poems"), ("prose", "poems")])
def test_a_store_of_another_kind_is_left_alone(
    open_database: Callable[[], Database], made: str | None, asked: str | None
) -> None:
    find_or_create(open_database(), kind("words", content=made))
    for look in (find, find_or_create):
        with pytest.raises(StoreError, match=r"holds the tables metadata of something else; use another store, an"):
            look(open_database(), kind("other", content=asked))


def test_tables_without_metadata_are_something_else(open_database: Callable[[], Database]) -> None:
    with open_database().writing() as connection:
        connection.execute(text("CREATE TABLE words (word text)"))
    with pytest.raises(StoreError, match="holds the tables words of something else"):
        find_or_create(open_database(), kind("words"))


def test_another_version_is_said(open_database: Callable[[], Database]) -> None:
    find_or_create(open_database(), kind(version="2"))
    with pytest.raises(StoreError, match=r"a store of version 2, and this is for version 1; use the .* another store"):
        find(open_database(), kind())


def test_a_missing_table_is_said(open_database: Callable[[], Database]) -> None:
    find_or_create(open_database(), kind())
    with pytest.raises(StoreError, match="damaged, has no table rhymes, words; put back a copy of it"):
        find_or_create(open_database(), kind("words", "rhymes"))
