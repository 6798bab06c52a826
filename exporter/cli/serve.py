"""``exit-exporter serve``: the daemon; each setting is a flag."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from exporter import garbage_collection
from exporter.config.loading import SettingsError, load_settings
from exporter.config.options import Option, settings_options, unknown_variables
from exporter.config.settings import Settings
from exporter.redaction import Redactor
from exporter.text import printable_lines
from exporter.thread_limit import NO_THREAD, is_thread_limit
from exporter.unused_imports import not_installed


class _SettingsRefusedError(click.ClickException):
    """A flag, a variable or a line of the file has a bad value; each has a line."""

    exit_code = 2


def _flag(parameter: str, option: Option) -> click.Parameter:
    default = f"  [default: {option.default}]" if option.default else ""
    return click.Option(
        [parameter, option.flag],
        help=option.help + default,
        # Every option takes several values, so that one given twice is refused; click would keep the last.
        multiple=not option.is_flag,
        is_flag=option.is_flag,
        default=None,
    )


def _serve(**parameters: Any) -> None:
    # Until the daemon can reload, SIGHUP must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with garbage_collection.paused():
        with not_installed("rich"):
            # structlog imports rich for its console output, which takes 6 MB of memory and is not used here.
            import structlog  # noqa: PLC0415
        # Imported only here, so that the help does not wait for the whole daemon.
        from exporter import app  # noqa: PLC0415
        from exporter.config.logging_setup import logging_to_stderr  # noqa: PLC0415

    settings = _load(parameters)
    try:
        with logging_to_stderr(settings.log) as log_writer:
            log = structlog.get_logger(__name__)
            for variable in unknown_variables(os.environ):
                log.warning("unknown variable, ignored", variable=variable)
            code = app.run(app.build(settings, os.environ), log_writer)
    except app.StartError as error:
        raise _exception(str(error)) from error
    except RuntimeError as error:
        if not is_thread_limit(error):
            raise
        raise _exception(NO_THREAD) from error
    sys.exit(code)


def _load(parameters: dict[str, Any]) -> Settings:
    flags = {
        _OPTIONS[name].name: _single(_OPTIONS[name], value)
        for name, value in parameters.items()
        if value not in (None, ())
    }
    try:
        return load_settings(flags, os.environ)
    except SettingsError as error:
        raise _SettingsRefusedError(_shown("\n".join(error.problems))) from error


def _exception(text: str) -> click.ClickException:
    return click.ClickException(_shown(text))


def _shown(text: str) -> str:
    return printable_lines(Redactor(os.environ)(text))


def _single(option: Option, value: Any) -> Any:
    if option.is_flag or option.multiple:
        return value
    if len(value) > 1:
        raise _SettingsRefusedError(f"{option.flag}: given {len(value)} times; it takes one value")
    return value[0]


_OPTIONS = {option.name.replace(".", "__").replace("-", "_"): option for option in settings_options()}

serve = click.Command(
    "serve",
    callback=_serve,
    params=[_flag(parameter, option) for parameter, option in _OPTIONS.items()],
    help="Watch container engines, and serve metrics and the API.\n\n"
    "Each flag is also a variable (--docker.host is EXIT_EXPORTER_DOCKER_HOST) and a line of the file "
    "that --config.file names. Flags override variables, and variables override the file.\n\n"
    "\b\nExamples:\n"
    "  exit-exporter serve\n"
    "  exit-exporter serve --docker.host unix:///run/user/1000/docker.sock --tail.lines 20\n"
    "  exit-exporter serve --config.file /etc/exit-exporter/settings.yaml",
)
