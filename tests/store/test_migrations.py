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

from exporter.metrics.definitions import METRICS
from exporter.model import (
    ClassifiedExit,
    ContainerHistory,
    Evidence,
    Exit,
    JobRecord,
    KillRequest,
    OomKill,
    OomSource,
    Recovery,
    Status,
    TelemetrySignal,
    Termination,
    Trace,
    Verdict,
)
from exporter.store import Store, schema
from exporter.store.opening import sqlite_engine
from tests.store.files import opened
from tests.store.samples import ANY, BEGAN_NS, SECOND_NS, job

# Migrations that change what is in the tables, and not the tables.
OF_ROWS_ALONE = ("0004",)
SCRIPTS = str(Path(schema.__file__).with_name("migrations"))


OF_0002 = f"""
INSERT INTO jobs VALUES
    ('bbbbbbbbbbbb-12', '{"b" * 64}', 12, 'gentle-stingray-b', 'node-1', 'unix:///var/run/docker.sock',
     'shop/worker', 'registry.example/shop/worker:1.4', 'registry.example/shop/worker',
     'running', NULL, NULL, NULL, NULL, NULL, '[]', 1, {256 << 20},
     {BEGAN_NS}, {BEGAN_NS - SECOND_NS}, {BEGAN_NS}, NULL, 11, '[[10, 7]]', '[["EVENT", 8]]',
     NULL, NULL, NULL, NULL, NULL),
    ('aaaaaaaaaaaa-1', '{"a" * 64}', 1, 'gentle-stingray-a', 'node-1', 'unix:///var/run/docker.sock',
     'shop/worker', 'registry.example/shop/worker:1.4', 'registry.example/shop/worker',
     'failed', 137, 'OOMKilled', 'CONTAINER_EXITED_WITH_ERROR', 'JOB_FAILED', 'more-memory',
     '["The engine reported an OOM kill."]', 1, {256 << 20},
     {BEGAN_NS}, {BEGAN_NS - SECOND_NS}, {BEGAN_NS}, {BEGAN_NS + 9}, 0,
     '[[15, 5], [null, 6]]', '[["EVENT", 8], ["FLAG", null]]',
     'given', 'trace', 'span', 'parent', 'Killed');
INSERT INTO series VALUES ('container_exits_total', '["a"]', 3.0);
INSERT INTO cursors VALUES ('unix:///var/run/docker.sock', 9, 1, 10);
INSERT INTO pruned VALUES (1, 4);
INSERT INTO outbox VALUES (1, 'aaaaaaaaaaaa-1', 'traces', 1, 0, NULL);
INSERT INTO identity VALUES (1, 'an-exporter');
"""  # noqa: S608 - the test's own
"""What version 0002 wrote, of every table."""

SERIES_OF_0003 = """
INSERT INTO series VALUES
    ('exit_exporter_store_commit_seconds', '["0"]', 4.0),
    ('exit_exporter_store_commit_seconds', '["11"]', 1.0),
    ('exit_exporter_store_commit_seconds', '["sum"]', 6.5),
    ('exit_exporter_store_errors_total', '[]', 2.0),
    ('exit_exporter_rows_given_up_total', '[]', 3.0),
    ('exit_exporter_spans_exported_total', '["traces"]', 50.0),
    ('exit_exporter_spans_exported_total', '["logs"]', 40.0),
    ('exit_exporter_spans_rejected_total', '["traces"]', 5.0),
    ('exit_exporter_spans_given_up_total', '["logs"]', 6.0),
    ('exit_exporter_workloads_folded_total', '[]', 7.0);
"""
"""Series of each metric that version 0003 kept under another name, and of one that it did not."""


def configuration(connection: Connection | None = None) -> Config:
    """Give Alembic's configuration, as the store has it."""
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    return config


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    """Give a transaction on a database that is not looked at first; at the end it is committed."""
    engine = sqlite_engine(path)
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


def contents(path: Path) -> list[tuple[str, str, float]]:
    """Give the rows of the table of series, in the order of their keys."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM series ORDER BY name, labels").fetchall()


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
        assert schema_of(database) == after
        assert after != before or revision in OF_ROWS_ALONE


def test_what_a_version_before_counted_goes_on_under_the_names_of_today(database: Path) -> None:
    move(database, command.upgrade, "0003")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SERIES_OF_0003)
    before = contents(database)
    with opened(database) as store:
        assert store.series() == {
            ("exit_exporter_store_commit_duration_seconds", ("0",)): 4,
            ("exit_exporter_store_commit_duration_seconds", ("11",)): 1,
            ("exit_exporter_store_commit_duration_seconds", ("sum",)): 6.5,
            ("exit_exporter_store_errors_total", ()): 2,
            ("exit_exporter_job_records_dropped_total", ()): 3,
            ("exit_exporter_otlp_jobs_exported_total", ("traces",)): 50,
            ("exit_exporter_otlp_jobs_exported_total", ("logs",)): 40,
            ("exit_exporter_otlp_jobs_rejected_total", ("traces",)): 5,
            ("exit_exporter_otlp_jobs_dropped_total", ("logs",)): 6,
            ("exit_exporter_jobs_over_workload_limit_total", ()): 7,
        }
        assert {name for name, _ in store.series()} <= {
            metric.name for metric in METRICS if metric.persistent
        }
    move(database, command.downgrade, "0003")
    assert contents(database) == before


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
    Store(database).close()
    monkeypatch.setattr("alembic.command.upgrade", None)
    with opened(database) as store:
        assert store.series() == {}


def test_nothing_that_the_version_before_has_recorded_is_lost_or_named_anew(database: Path) -> None:
    move(database, command.upgrade, "0002")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(OF_0002)
    began = job(
        "b", attempt=12, restarts=11, kills=(KillRequest(10, 7),), oom_kills=(OomKill(OomSource.EVENT, 8),)
    )
    ran = job(
        "a",
        restarts=0,
        traceparent="given",
        kills=(KillRequest(15, 5), KillRequest(None, 6)),
        oom_kills=(OomKill(OomSource.EVENT, 8), OomKill(OomSource.FLAG, None)),
    )
    killed = ClassifiedExit(
        Exit(
            ran,
            137,
            BEGAN_NS + 9,
            Evidence(ran_ns=9, notes=("The engine reported an OOM kill.",)),
            oom_kills=1,
            log_tail="Killed",
        ),
        Verdict(
            Status.FAILED,
            Termination.CONTAINER_EXITED_WITH_ERROR,
            "OOMKilled",
            Recovery.MORE_MEMORY,
            "JOB_FAILED",
        ),
        Trace("trace", "span", "parent"),
    )
    with opened(database) as store:
        found = [store.find_job("bbbbbbbbbbbb-12"), store.find_job("aaaaaaaaaaaa-1")]
        assert found == [JobRecord(began, None), JobRecord(ran, killed)]
        assert [record and (record.job.id, record.job.key) for record in found] == [
            ("bbbbbbbbbbbb-12", ""),
            ("aaaaaaaaaaaa-1", ""),
        ]
        assert [
            record and (record.job.restarts, record.job.kills, record.job.oom_kills) for record in found
        ] == [(each.restarts, each.kills, each.oom_kills) for each in (began, ran)]
        assert len(store.list_jobs(ANY, 10)) == 2
        told = frozenset({BEGAN_NS, BEGAN_NS + 9, 5, 6, 8})
        assert store.load_history("a" * 64) == ContainerHistory(1, BEGAN_NS + 9, 0, told)
        assert (store.series(), store.pruned_before_ns) == ({("container_exits_total", ("a",)): 3}, 4)
        assert store.cursors()["unix:///var/run/docker.sock"].event_ns == 9
        assert (store.outbox.count_pending(TelemetrySignal.TRACES), store.instance_id) == (1, "an-exporter")
