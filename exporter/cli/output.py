"""Output of a command whose exit status must not depend on whether somebody reads it."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

import click

from exporter.text import printable_lines


def print_if_possible(text: str, *, err: bool = False) -> None:
    """Print a text; if standard output cannot be written, say so on standard error, and go on.

    On standard error it is without what a terminal would obey; standard output gets JSON, which escapes it.
    """
    try:
        click.echo(printable_lines(text) if err else text, err=err)
    except OSError as error:
        _discard(sys.stderr if err else sys.stdout)
        if not err:
            print_if_possible(f"standard output cannot be written: {error.strerror}", err=True)


def show_if_possible(error: click.ClickException) -> None:
    """Print an error on standard error, with the usage if it is one of usage."""
    text = io.StringIO()
    error.show(text)
    print_if_possible(text.getvalue().rstrip("\n"), err=True)


def escape_unencodable() -> None:
    """Let standard output show what its encoding does not have, such as the sign for a control character."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Write what follows on standard output to nowhere: Python would fail again with what it holds."""
    _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    # Python writes the rest at its end, and if that fails, it ends with 120 instead of our status.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
