"""Opening a database: a good one keeps its content, a bad one is refused and left unchanged."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from exporter.model import Cursor
from exporter.store import Batch, Store, StoreError, schema
from exporter.store.database import describe
from exporter.store.opening import open_engine
from tests.store.files import fill, opened, read_only, small_disk
from tests.store.samples import ANY, ended, job

NOBODY = 65534
PAGE = 4096
NEXT = f"{int(schema.REVISION) + 1:04}"
FOREIGN = "is not a database of exit-exporter; use another file"
NO_DATABASE = "file is not a database; it is left unchanged: move it away or use another file"
NEWER = (
    "was written by a newer version (schema {}, "
    f"this version supports {schema.REVISION}); run that version or use another file"
)
DAMAGED = "it is damaged and left unchanged: restore a backup or use another file"
UNOPENED = "unable to open database file; check that its directory exists and that this user may write to it"


def refusal(path: Path) -> str:
    """Return the cause for which a database is not opened."""
    with pytest.raises(StoreError) as caught:
        Store(path)
    return str(caught.value).removeprefix(f"{path}: ")


def create(path: Path) -> None:
    """Create a database with a job and a series."""
    with opened(path) as store:
        store.commit(Batch(ended=[ended(job(), 1)], series={("container_exits_total", ("a",)): 1}))


def execute(path: Path, *statements: str) -> None:
    """Change a database without checking it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def foreign(revision: str | None) -> Callable[[Path], None]:
    """Return what creates the database of another program, which uses Alembic if there is a revision."""
    statements = ["CREATE TABLE invoices (id INTEGER PRIMARY KEY, total REAL)"]
    if revision is not None:
        statements += [
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            f"INSERT INTO alembic_version SELECT '{revision}' WHERE '{revision}' != ''",
        ]
    return lambda path: execute(path, *statements)


def of_revision(revision: str) -> Callable[[Path], None]:
    """Return what creates a database of ours with another revision."""

    def create_and_change(path: Path) -> None:
        create(path)
        execute(path, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608  # a constant

    return create_and_change


def cut(path: Path) -> None:
    """Create a database of which only the first page is left."""
    create(path)
    path.write_bytes(path.read_bytes()[:PAGE])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "of the next version": (of_revision(NEXT), NEWER.format(NEXT)),
    "of a much newer version": (of_revision("9999"), NEWER.format("9999")),
    "of another program": (foreign(None), FOREIGN),
    "of a program with Alembic and our revision": (foreign(schema.REVISION), FOREIGN),
    "of a program with Alembic and an older revision": (foreign("00001"), FOREIGN),
    "of a program with Alembic and a random revision": (foreign("ae1027a6acf"), FOREIGN),
    "of a program with Alembic and no revision": (foreign(""), FOREIGN),
    "random bytes": (lambda path: path.write_bytes(bytes(range(255, -1, -1)) * 48), NO_DATABASE),
    "shorter than a header": (lambda path: path.write_text("exits: none\n"), NO_DATABASE),
    "cut short": (cut, f"database disk image is malformed; {DAMAGED}"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_database_is_refused_and_left_unchanged(database: Path, kind: str) -> None:
    create_bad, cause = REFUSED[kind]
    create_bad(database)
    before = database.read_bytes()
    assert refusal(database) == cause
    assert database.read_bytes() == before
    assert {file.name for file in database.parent.iterdir()} == {database.name, f"{database.name}.lock"}


@pytest.mark.parametrize("page", range(2, 11))
def test_a_damaged_page_is_found(database: Path, page: int) -> None:
    create(database)
    raw = bytearray(database.read_bytes())
    raw[(page - 1) * PAGE : (page - 1) * PAGE + 64] = b"\xff" * 64
    database.write_bytes(raw)
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    assert refusal(database) == f"malformed: {result}; {DAMAGED}"
    assert database.read_bytes() == bytes(raw)


def test_every_connection_uses_wal_and_full_sync(database: Path) -> None:
    engine = open_engine(database)
    with engine.connect() as one, engine.connect() as another:
        for connection in (one, another):
            pragmas = [
                connection.execute(text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous")
            ]
            # 2 is FULL.
            assert pragmas == ["wal", 2]
    engine.dispose()
    with closing(sqlite3.connect(database)) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def modes(*files: Path) -> set[int]:
    return {file.stat().st_mode & 0o777 for file in files}


@pytest.fixture
def _loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_loose_umask")
def test_directories_and_files_are_created_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "exit-exporter" / "exits.db"
    with opened(path) as store:
        store.commit(Batch(series={("container_exits_total", ("a",)): 1}))
        files = [path.with_name(f"exits.db{suffix}") for suffix in ("", "-wal", "-shm", ".lock")]
        assert set(files) == set(path.parent.iterdir())
        assert (modes(path.parent, path.parent.parent), modes(*files)) == ({0o700}, {0o600})


def test_a_database_of_before_is_taken_from_others_and_left_to_its_group(database: Path) -> None:
    create(database)
    database.chmod(0o644)
    with opened(database):
        assert modes(database, *database.parent.glob("*-wal")) == {0o640}


def test_what_is_refused_keeps_its_mode(database: Path) -> None:
    database.write_text("exits: none\n")
    database.chmod(0o644)
    assert refusal(database) == NO_DATABASE
    assert modes(database) == {0o644}


def test_an_empty_file_is_a_new_database(database: Path) -> None:
    database.touch()
    with opened(database) as store:
        assert store.series() == {}


def test_a_reopened_database_has_its_content(database: Path) -> None:
    create(database)
    with opened(database) as store:
        assert store.series() == {("container_exits_total", ("a",)): 1}
        assert [record.job for record in store.reader.list_jobs(ANY, 10).records] == [job()]


def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    assert refusal(tmp_path / "taken" / "exits.db") == f"{tmp_path / 'taken'}: cannot be created: File exists"


def test_a_directory_is_no_database(database: Path) -> None:
    database.mkdir()
    assert refusal(database) == UNOPENED


def test_a_read_only_file_is_refused_at_the_start(database: Path) -> None:
    create(database)
    before = database.read_bytes()
    advice = "make the file and its directory writable, or use another file"
    with read_only(database):
        assert refusal(database) == f"attempt to write a readonly database; {advice}"
        assert database.read_bytes() == before


def test_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    path, deep = state / "exits.db", state / "deep" / "exits.db"
    create(path)
    before = path.read_bytes()
    with read_only(state):
        assert refusal(path) == refusal(state / "new.db") == UNOPENED
        assert refusal(deep) == f"{deep.parent}: cannot be created: Read-only file system"
        assert path.read_bytes() == before


def test_a_full_disk_is_refused_until_it_has_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path, filler = disk / "exits.db", fill(disk)
        advice = "free some space, then start again; the database is as it was"
        assert refusal(path) == f"database or disk is full; {advice}"
        filler.unlink()
        create(path)
        before, filler = path.read_bytes(), fill(disk)
        advice = "the disk is full or failing: free some space, or check the kernel log"
        assert refusal(path) == f"disk I/O error; {advice}"
        assert path.read_bytes() == before
        filler.unlink()
        with opened(path) as store:
            assert [record.job for record in store.reader.list_jobs(ANY, 10).records] == [job()]


def test_a_database_that_another_process_writes_to_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(database)
    monkeypatch.setattr("exporter.store.opening.BUSY_SECONDS", 0)
    advice = "another process is writing to it; only one exporter may use a database"
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refusal(database) == f"database is locked; {advice}"
        other.execute("ROLLBACK")
    with opened(database):
        pass


def test_a_second_exporter_is_refused_until_the_first_ends(database: Path) -> None:
    with opened(database):
        for _ in range(2):
            cause = "another exporter uses it; only one exporter may use a database"
            assert refusal(database) == cause
    with opened(database) as store:
        assert store.series() == {}


def test_one_lock_holds_for_all_links_to_a_database(database: Path, tmp_path: Path) -> None:
    Store(database).close()
    link = tmp_path / "link.db"
    link.symlink_to(database)
    with opened(database):
        assert refusal(link) == "another exporter uses it; only one exporter may use a database"


@contextmanager
def _as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("mode", "is_locked"), [(0o644, True), (0o600, False)])
def test_a_lock_file_of_another_user_is_locked_if_it_can_be_read_and_else_refused(
    mode: int, *, is_locked: bool
) -> None:
    # The directories of tests are closed to other users.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        lock = Path(name, "exits.db.lock")
        lock.touch(mode)
        lock.chmod(mode)
        with _as_nobody():
            if is_locked:
                with opened(Path(name, "exits.db")):
                    assert refusal(Path(name, "exits.db")).startswith("another exporter uses it")
            else:
                assert refusal(Path(name, "exits.db")).startswith(f"{lock}: cannot be opened: Permission")


def test_a_lock_file_that_leads_elsewhere_is_refused(database: Path, tmp_path: Path) -> None:
    create(database)
    lock, other = database.with_name(f"{database.name}.lock"), tmp_path / "other"
    lock.unlink()
    lock.symlink_to(other)
    assert refusal(database) == (
        f"{lock}: cannot be opened: Too many levels of symbolic links; remove it, or use another database"
    )
    assert not other.exists()


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_nothing_is_committed_to_a_file_that_is_gone(database: Path, tmp_path: Path, suffix: str) -> None:
    Store(database).close()
    link = tmp_path / "link.db"
    link.symlink_to(database)
    with closing(Store(link)) as store:
        store.commit(Batch(cursors={"engine": Cursor(1, 0)}))
        assert store.is_in_place
        database.with_name(database.name + suffix).unlink()
        assert not store.is_in_place
        with pytest.raises(StoreError, match="was deleted or replaced while in use"):
            store.commit(Batch(cursors={"engine": Cursor(2, 0)}))


def test_a_write_of_another_process_is_noticed_once_and_none_of_our_own(database: Path) -> None:
    with closing(Store(database)) as store:
        seen = store.was_changed_by_another()
        # More than the log holds before it is written to the file.
        before = database.stat().st_mtime_ns
        while database.stat().st_mtime_ns == before:
            store.commit(
                Batch(ended=[ended(job(container_id=f"{at:064x}", key=str(at)), 1) for at in range(200)])
            )
            seen |= store.was_changed_by_another()
        assert not seen
        store.commit(Batch(ended=[ended(job(), 2)]))
        with closing(sqlite3.connect(database)) as other:
            other.execute("SELECT count(*) FROM jobs").fetchall()
            assert not store.was_changed_by_another()
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        store.commit(Batch(ended=[ended(job(), 3)]))
        assert [store.was_changed_by_another() for _ in range(2)] == [True, False]


def test_an_error_without_advice_has_only_its_cause() -> None:
    error = DBAPIError("SELECT 1", {}, sqlite3.OperationalError("no such table: jobs"))
    assert describe("/exits.db", error) == "/exits.db: no such table: jobs"
