"""The migrations, held to the tables as the code sees them."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from exporter.store import Store, database, schema
from tests.store.files import opened, url

SCRIPTS = str(Path(database.__file__).with_name("migrations"))


def configuration(connection: Connection | None = None) -> Config:
    """Give Alembic's configuration, as the store has it."""
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    return config


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    """Give a transaction on a database that is not looked at first; at the end it is committed."""
    engine = database._engine(url(path))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def move(path: Path, direction: Callable[[Config, str], None], revision: str) -> None:
    """Take a database up or down to a revision."""
    with connected(path) as connection:
        direction(configuration(connection), revision)


def schema_of(path: Path) -> dict[str, object]:
    """Give the columns of each table and each index; Alembic's own table is left out.

    Not the statements: a column that was added stands elsewhere in them than one that was always there.
    """
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE type = ? AND tbl_name != 'alembic_version'"
        indexes: dict[str, object] = dict(connection.execute(query, ("index",)))
        tables = [name for name, _ in connection.execute(query, ("table",)).fetchall()]
        return indexes | {
            name: connection.execute("SELECT * FROM pragma_table_xinfo(?)", (name,)).fetchall()
            for name in tables
        }


def revisions() -> list[str]:
    """Give all revisions, the first one first."""
    return [script.revision for script in ScriptDirectory(SCRIPTS).walk_revisions()][::-1]


def test_the_newest_migration_is_the_revision_that_the_code_writes() -> None:
    assert ScriptDirectory(SCRIPTS).get_heads() == [schema.REVISION]


def test_revisions_sort_by_their_age_since_newer_is_told_by_comparing() -> None:
    assert revisions() == sorted(revisions())


def test_the_migrated_schema_is_the_one_that_the_code_sees(database: Path) -> None:
    move(database, command.upgrade, "head")
    with connected(database) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION


def test_every_migration_can_be_taken_back_and_made_again(database: Path) -> None:
    for revision in revisions():
        before = schema_of(database)
        move(database, command.upgrade, revision)
        after = schema_of(database)
        move(database, command.downgrade, "-1")
        assert schema_of(database) == before
        move(database, command.upgrade, revision)
        assert schema_of(database) == after != before


@pytest.mark.parametrize("revision", revisions())
def test_a_database_of_any_older_version_is_brought_up_when_it_is_opened(
    database: Path, tmp_path: Path, revision: str
) -> None:
    with opened(tmp_path / "new.db"):
        today = schema_of(tmp_path / "new.db")
    move(database, command.upgrade, revision)
    with opened(database):
        assert schema_of(database) == today
        with connected(database) as connection:
            assert MigrationContext.configure(connection).get_current_revision() == schema.REVISION


def test_a_migration_that_fails_half_way_leaves_nothing_behind(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        # In the way of the last table that the first migration makes.
        connection.execute("CREATE VIEW series AS SELECT 1")
    before = schema_of(database)
    with pytest.raises(OperationalError, match="series"):
        move(database, command.upgrade, "head")
    assert schema_of(database) == before


def test_a_new_database_is_what_all_migrations_make(database: Path, tmp_path: Path) -> None:
    move(database, command.upgrade, "head")
    with opened(tmp_path / "new.db"):
        assert schema_of(tmp_path / "new.db") == schema_of(database) != {}


def test_a_database_is_made_once_and_opened_as_it_is_from_then_on(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(url(database)).close()
    monkeypatch.setattr("alembic.command.upgrade", None)
    with opened(database) as store:
        assert store.values() == {}
