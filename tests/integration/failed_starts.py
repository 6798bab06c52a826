"""Every way for a start to fail that engines tell apart, and what must be said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docker.types import Mount

from tests.integration.ends import MEBIBYTE, End

MISSING_RUNTIME = ("--add-runtime", "nosuch=/no-such-runtime")
"""What an engine is started with, so that it takes a runtime whose program there is not."""

_REFUSED = "CREATING_CONTAINER_ERROR"
# The least that an engine takes.
_TINY = 6 * MEBIBYTE


def _missing_device(_folder: Path) -> dict[str, Any]:
    return {"devices": ["/dev/nosuch:/dev/nosuch:rwm"]}


def _missing_user(_folder: Path) -> dict[str, Any]:
    return {"user": "nosuch"}


def _missing_runtime(_folder: Path) -> dict[str, Any]:
    return {"runtime": "nosuch"}


def _file_over_a_folder(folder: Path) -> dict[str, Any]:
    file = folder / "file"
    file.touch()
    return {"mounts": [Mount("/root", str(file), type="bind")]}


def _file_as_working_directory(folder: Path) -> dict[str, Any]:
    # An engine that finds the file in the image refuses to create the container.
    (folder / "file").touch()
    return {"mounts": [Mount("/data", str(folder), type="bind")], "working_dir": "/data/file"}


def _much_for_init_to_read(_folder: Path) -> dict[str, Any]:
    # The runtime's first process reads all of it, within the container's limit.
    return {"environment": {f"V{number}": "x" * 100_000 for number in range(30)}}


FAILED_STARTS = (
    End(
        "missing device",
        ("true",),
        "failed",
        128,
        "DeviceNotFound",
        _REFUSED,
        options=_missing_device,
        start_error='custom device "/dev/nosuch": no such file or directory',
    ),
    End(
        "no such user",
        ("true",),
        "failed",
        128,
        "UserNotFound",
        _REFUSED,
        options=_missing_user,
        start_error="unable to find user nosuch: no matching entries in passwd file",
    ),
    End(
        "no such runtime",
        ("true",),
        "failed",
        127,
        "RuntimeNotFound",
        _REFUSED,
        options=_missing_runtime,
        start_error="fork/exec /no-such-runtime: no such file or directory",
    ),
    End(
        "a file mounted over a folder",
        ("true",),
        "failed",
        127,
        "MountFailed",
        _REFUSED,
        options=_file_over_a_folder,
        start_error="error mounting .* not a directory",
    ),
    End(
        "a file as working directory",
        ("true",),
        "failed",
        127,
        "WorkingDirectoryInvalid",
        _REFUSED,
        options=_file_as_working_directory,
        start_error="mkdir /data/file: not a directory",
    ),
    End(
        "a folder as command",
        ("/tmp",),  # noqa: S108  # of the image
        "failed",
        126,
        "CommandNotExecutable",
        _REFUSED,
        start_error='exec: "/tmp": .*permission denied',
    ),
    End(
        "out of memory before it starts",
        ("true",),
        "failed",
        128,
        "InitOutOfMemory",
        _REFUSED,
        memory_limit=_TINY,
        options=_much_for_init_to_read,
        start_error="unable to set memory limit to 6291456",
    ),
)
