"""The command line. Its commands ask the API; only ``serve`` imports the daemon."""

from __future__ import annotations

import os
import re
from errno import EPIPE
from importlib import import_module
from typing import Any

import click

from exporter import __version__, garbage_collection
from exporter.cli.output import discard_output, escape_unencodable

# As shells report SIGINT.
INTERRUPTED = 130
COMMANDS = ("serve", "ps", "show", "wait", "report", "explain", "codes", "check")


def command(name: str) -> click.Command:
    """Return one of COMMANDS."""
    with garbage_collection.paused():
        found: click.Command = getattr(import_module(f"exporter.cli.{name}"), name)
    return found


class _Commands(click.Group):
    """Each command is in the module of its name, which is imported when the command is used.

    So the daemon does not load the code that draws tables, and ``ps`` not the code that opens databases.
    """

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        return command(name) if name in COMMANDS else None

    def invoke(self, context: click.Context) -> Any:
        """Run a command; click would end with 1 on Ctrl-C, which can be a job's code."""
        escape_unencodable()
        try:
            return super().invoke(context)
        except click.UsageError as error:
            raise click.UsageError(_without_secrets(error.format_message()), error.ctx) from error
        except KeyboardInterrupt:
            context.exit(INTERRUPTED)
        except OSError as error:
            # Of a file, the command says more. A pipe that was closed is no error: click is silent then.
            if error.filename is not None or error.errno == EPIPE:
                raise
            discard_output()
            raise click.ClickException(f"standard output cannot be written: {error.strerror}") from error


def _without_secrets(message: str) -> str:
    # Imported only here, since most commands are called rightly.
    from exporter.redaction import REDACTED, Redactor  # noqa: PLC0415

    # A URL whose password has a space is several arguments if it is not in quotes.
    message = re.sub(r"(unexpected extra arguments? \().*@", rf"\1{REDACTED}@", message)
    return Redactor(os.environ)(message)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="exit-exporter")
def main() -> None:
    """Why did my container exit?

    The daemon (serve) watches container engines; the other commands ask it.

    \b
    Exit status of all commands but wait, whose help has its own:
      0  success
      1  an error, which one line on standard error explains
      2  wrong options, arguments or settings
      130  Ctrl-C
    \b
    Completion, for the shell's start file:
      bash  eval "$(_EXIT_EXPORTER_COMPLETE=bash_source exit-exporter)"
      zsh   eval "$(_EXIT_EXPORTER_COMPLETE=zsh_source exit-exporter)"
      fish  _EXIT_EXPORTER_COMPLETE=fish_source exit-exporter | source
    """
