"""Output of a command whose exit status must not depend on whether somebody reads it."""

from __future__ import annotations

import io
import os
import sys

import click


def print_if_possible(text: str, *, err: bool = False) -> None:
    """Print a text; if standard output cannot be written, say so on standard error, and go on."""
    try:
        click.echo(text, err=err)
    except OSError as error:
        _discard(sys.stderr.fileno() if err else sys.stdout.fileno())
        if not err:
            print_if_possible(f"standard output cannot be written: {error.strerror}", err=True)


def show_if_possible(error: click.ClickException) -> None:
    """Print an error on standard error, with the usage if it is one of usage."""
    text = io.StringIO()
    error.show(text)
    print_if_possible(text.getvalue().rstrip("\n"), err=True)


def _discard(descriptor: int) -> None:
    # Python writes the rest at its end, and if that fails, it ends with 120 instead of our status.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
