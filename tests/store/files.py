"""Database files, and disks for them that are full or read-only.

The tests run as root, who may write anywhere; only a mounted file system can refuse root.
"""

import errno
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import FileIO
from pathlib import Path

from exporter.store import Store


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """Give a store that is closed at the end."""
    with closing(Store(path)) as store:
        yield store


@contextmanager
def trigger(path: Path, when: str, how: str) -> Iterator[None]:
    """Let a trigger of the database refuse some statements."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TRIGGER no {when} BEGIN SELECT RAISE({how}, 'not today'); END")
        yield
        connection.execute("DROP TRIGGER no")


@contextmanager
def small_disk(directory: Path, size: str = "512k") -> Iterator[Path]:
    """Give a new directory that is a file system of this size."""
    directory.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory)
    try:
        yield directory
    finally:
        _run("umount", directory)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make a file or directory read-only, also for root."""
    _run("mount", "--bind", path, path)
    try:
        _run("mount", "-o", "remount,bind,ro", path)
        yield
    finally:
        _run("umount", path)


def fill(disk: Path) -> Path:
    """Fill a small disk to its last byte; return the file that fills it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            _write_until_full(file, bytes(size))
    return filler


def _write_until_full(file: FileIO, block: bytes) -> None:
    try:
        while file.write(block):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
