"""Opening a database: good ones as promised, and each kind of bad one refused and left as it is."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from exporter.store import Batch, Store, StoreError, schema
from exporter.store.database import describe
from exporter.store.opening import open_engine
from tests.store.files import fill, opened, read_only, small_disk
from tests.store.samples import ANY, ended, job

PAGE = 4096
NEXT = f"{int(schema.REVISION) + 1:04}"
FOREIGN = "{path}: is not a database of exit-exporter; use another file"
NO_DATABASE = "{path}: file is not a database; it is left unchanged: move it away or use another file"
READ_ONLY = (
    "{path}: attempt to write a readonly database; "
    "make the file and its directory writable, or use another file"
)
UNOPENED = (
    "{path}: unable to open database file; check that its directory exists and that this user may write to it"
)
FULL = "{path}: database or disk is full; free some space; pending data is kept and written then"
NO_ROOM = "{path}: disk I/O error; the disk is full or failing: free some space, or check the kernel log"
LOCKED = "{path}: database is locked; another process is writing to it; only one exporter may use a database"


def newer(revision: str) -> str:
    """Give what is said of a database of a newer version."""
    return (
        f"{{path}}: was written by a newer version (schema {revision}, "
        f"this version supports {schema.REVISION}); run that version or use another file"
    )


def damaged(verdict: str) -> str:
    """Give what is said of a database that SQLite finds damaged."""
    advice = "it is damaged and left unchanged: restore a backup or use another file"
    return f"{{path}}: {verdict}; {advice}"


def refusal(path: Path) -> str:
    """Return the error of opening a database, which must not succeed."""
    with pytest.raises(StoreError) as caught:
        Store(path)
    return str(caught.value)


def ours(path: Path) -> None:
    """Make a database with a job and a series in it."""
    with opened(path) as store:
        store.commit(Batch(ended=[ended(job(), 1)], series={("container_exits_total", ("a",)): 1}))


def execute(path: Path, *statements: str) -> None:
    """Change a database without looking at what it is."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def foreign(revision: str | None) -> Callable[[Path], None]:
    """Give what makes the database of another project, which uses Alembic too if there is a revision."""
    statements = ["CREATE TABLE invoices (id INTEGER PRIMARY KEY, total REAL)"]
    if revision is not None:
        statements += [
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            f"INSERT INTO alembic_version SELECT '{revision}' WHERE '{revision}' != ''",
        ]
    return lambda path: execute(path, *statements)


def of_revision(revision: str) -> Callable[[Path], None]:
    """Give what makes a database of ours that says it is of another revision."""

    def make(path: Path) -> None:
        ours(path)
        execute(path, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 - the test's own

    return make


def cut(path: Path) -> None:
    """Make a database of ours of which only the first page is left."""
    ours(path)
    path.write_bytes(path.read_bytes()[:PAGE])


def noise(path: Path) -> None:
    """Make a file of several pages that is no database."""
    path.write_bytes(bytes(range(255, -1, -1)) * 48)


def words(path: Path) -> None:
    """Make a file that is shorter than a database's header."""
    path.write_text("exits: none\n", encoding="utf-8")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a database of the next version": (of_revision(NEXT), newer(NEXT)),
    "a database of a much newer version": (of_revision("9999"), newer("9999")),
    "a database of something else": (foreign(None), FOREIGN),
    "one that uses Alembic, and whose revision is called like ours": (foreign(schema.REVISION), FOREIGN),
    "one that uses Alembic, with an older revision": (foreign("00001"), FOREIGN),
    "one that uses Alembic, with a revision of random letters": (foreign("ae1027a6acf"), FOREIGN),
    "one that uses Alembic, of no revision yet": (foreign(""), FOREIGN),
    "random bytes": (noise, NO_DATABASE),
    "a text": (words, NO_DATABASE),
    "a database cut short": (cut, damaged("database disk image is malformed")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_is_refused_with_its_cause_and_left_as_it_is(database: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    make(database)
    before = database.read_bytes()
    assert refusal(database) == message.format(path=database)
    assert database.read_bytes() == before
    beside = {file.name for file in database.parent.iterdir()} - {f"{database.name}.lock"}
    assert beside == {database.name}


@pytest.mark.parametrize("page", range(2, 11))
def test_a_damaged_page_is_found_named_and_left_as_it_is(database: Path, page: int) -> None:
    ours(database)
    raw = bytearray(database.read_bytes())
    raw[(page - 1) * PAGE : (page - 1) * PAGE + 64] = b"\xff" * 64
    database.write_bytes(raw)
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    assert refusal(database) == damaged(f"malformed: {verdict}").format(path=database)
    assert database.read_bytes() == bytes(raw)


def test_every_connection_writes_ahead_and_waits_for_the_disk(database: Path) -> None:
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


def test_directories_are_made_and_the_last_one_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "exit-exporter" / "exits.db"
    with opened(path) as store:
        assert store.list_jobs(ANY, 1) == []
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_empty_file_is_a_new_database(database: Path) -> None:
    database.touch()
    with opened(database) as store:
        assert store.series() == {}


def test_a_database_that_is_opened_again_has_what_it_had(database: Path) -> None:
    ours(database)
    with opened(database) as store:
        assert store.series() == {("container_exits_total", ("a",)): 1}
        assert [record.job for record in store.list_jobs(ANY, 10)] == [job()]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    path = tmp_path / "taken" / "exits.db"
    assert refusal(path) == f"{path.parent}: cannot be created: File exists"


def test_a_directory_is_no_database(database: Path) -> None:
    database.mkdir()
    assert refusal(database) == UNOPENED.format(path=database)


def test_a_read_only_file_is_refused_before_the_first_exit_comes(database: Path) -> None:
    ours(database)
    before = database.read_bytes()
    with read_only(database):
        assert refusal(database) == READ_ONLY.format(path=database)
        assert database.read_bytes() == before


def test_on_a_read_only_disk_no_database_is_opened_or_made(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    path, new, deep = state / "exits.db", state / "new.db", state / "deep" / "exits.db"
    ours(path)
    before = path.read_bytes()
    with read_only(state):
        assert refusal(path) == UNOPENED.format(path=path)
        assert refusal(new) == UNOPENED.format(path=new)
        assert refusal(deep) == f"{deep.parent}: cannot be created: Read-only file system"
        assert path.read_bytes() == before


def test_a_full_disk_is_named_when_a_database_is_made_and_with_room_it_is_made(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path, filler = disk / "exits.db", fill(disk)
        assert refusal(path) == FULL.format(path=path)
        filler.unlink()
        ours(path)


def test_a_full_disk_is_named_when_a_database_is_opened_and_with_room_it_opens(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "exits.db"
        ours(path)
        before, filler = path.read_bytes(), fill(disk)
        assert refusal(path) == NO_ROOM.format(path=path)
        assert path.read_bytes() == before
        filler.unlink()
        with opened(path) as store:
            assert [record.job for record in store.list_jobs(ANY, 10)] == [job()]


def test_a_database_that_another_process_writes_to_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours(database)
    monkeypatch.setattr("exporter.store.opening.BUSY_SECONDS", 0)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refusal(database) == LOCKED.format(path=database)
        other.execute("ROLLBACK")
    with opened(database):
        pass


def test_a_second_exporter_on_a_database_is_refused_until_the_first_has_ended(database: Path) -> None:
    in_use = f"{database}: another exporter uses it; only one exporter may use a database"
    with opened(database):
        for _ in range(2):
            with pytest.raises(StoreError) as refused:
                Store(database)
            assert str(refused.value) == in_use
    with opened(database) as store:
        assert store.series() == {}


def test_a_cause_without_advice_is_told_as_it_is() -> None:
    error = DBAPIError("SELECT 1", {}, sqlite3.OperationalError("interrupted"))
    assert describe("/exits.db", error) == "/exits.db: interrupted"
