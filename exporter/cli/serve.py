"""``exit-exporter serve``: the daemon. Its flags are the settings, one for each."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from exporter.config import settings


def _options() -> list[click.Parameter]:
    return [_option(option) for option in settings.options()]


def _option(option: settings.Option) -> click.Parameter:
    default = f"  [default: {option.default}]" if option.default else ""
    return click.Option(
        # The name is the setting's own, dot and all, so that it comes back under it.
        [option.name.replace(".", "__").replace("-", "_"), option.flag],
        help=option.help + default,
        # All of them, so that one that is given twice is refused and not quietly the last one.
        multiple=not option.switch,
        is_flag=option.switch,
        default=None,
    )


def _serve(**given: Any) -> None:
    # Until the daemon can reload: who asks for that while it starts must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with _absent("rich"):
        # structlog imports rich where it can, for a console; a daemon would carry 6 MB of it for nothing.
        import structlog  # noqa: PLC0415
    # Only here: whoever asks for the flags alone does not wait for the daemon to be imported.
    from exporter import app  # noqa: PLC0415
    from exporter.config import logging_setup  # noqa: PLC0415

    log = structlog.get_logger(__name__)
    flags = {
        _names[name].name: _as_given(_names[name], value)
        for name, value in given.items()
        if value not in (None, ())
    }
    try:
        chosen = settings.load(flags, os.environ)
    except settings.SettingsError as error:
        raise click.ClickException("\n".join(error.problems)) from error
    logging_setup.set_up(chosen.log)
    for variable in settings.unknown_variables(os.environ):
        log.warning("unknown variable, ignored", variable=variable)
    try:
        parts = app.build(chosen, os.environ)
    except app.StartError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(app.run(parts))


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """To whoever imports it meanwhile, a package that is not imported yet is not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # as the import system documents it
    try:
        yield
    finally:
        del sys.modules[package]


def _as_given(option: settings.Option, value: Any) -> Any:
    if option.switch or option.repeatable:
        return value
    if len(value) > 1:
        raise click.ClickException(f"{option.flag}: is given {len(value)} times, and only one can hold")
    return value[0]


_names = {option.name.replace(".", "__").replace("-", "_"): option for option in settings.options()}

serve = click.Command(
    "serve",
    callback=_serve,
    params=_options(),
    help="Watch container engines and serve what is learnt.\n\n"
    "Each flag is also a variable (--docker.host is EXIT_EXPORTER_DOCKER_HOST) and a line of the "
    "file that --config.file names. Flags win over variables, variables over the file.",
)
