"""SQLite from before 3.35, as RHEL 9 has it, reads all statements: it is not there to be asked."""

import sqlite3

import pytest

from exporter.store.exit_count_triggers import EXIT_COUNT_TRIGGERS
from exporter.store.json_rows import table_of


def test_no_trigger_has_a_conflict_without_its_columns() -> None:
    assert sum("ON CONFLICT (" in trigger for trigger in EXIT_COUNT_TRIGGERS) == 4
    assert not [trigger for trigger in EXIT_COUNT_TRIGGERS if "ON CONFLICT DO" in trigger]


def test_a_hint_that_is_not_known_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def hinted(version: tuple[int, int, int]) -> bool:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        return "MATERIALIZED" in str(table_of("limits", ("limit",)).select())

    assert [hinted(version) for version in ((3, 34, 1), (3, 35, 0))] == [False, True]
