"""Where Go is, which builds what Debian does not package."""

import os
import shutil

from tests.lab.process import system_path

USUAL_FOLDER = "/usr/local/go/bin"
"""Usual directory of Go's own archive, which may not be on PATH."""

ADVICE = "there is no `go` on PATH: install it (https://go.dev/doc/install)"


def find_go() -> str | None:
    """Return the path of the program `go`; None without one."""
    return shutil.which("go", path=os.pathsep.join([system_path(), USUAL_FOLDER]))
