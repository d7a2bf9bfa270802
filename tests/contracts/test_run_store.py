from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_oirl.testing.store_contract import RUN_STORE_CHECKS

checks = pytest.mark.parametrize("check", RUN_STORE_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))


@checks
def test_sqlite_keeps_the_contract(check: Callable[[str], None], tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path / 'store.sqlite'}")


@checks
def test_postgresql_keeps_the_contract(check: Callable[[str], None], new_postgresql_store: Callable[[], str]) -> None:
    check(new_postgresql_store())
