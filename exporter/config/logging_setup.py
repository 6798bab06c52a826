"""Log of the daemon: one line for each event, on standard error, as logfmt or JSON."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import structlog
from structlog.typing import Processor

from exporter.config.log_limit import KIND, RepeatLimit
from exporter.config.log_writer import LogWriter
from exporter.config.settings import LogFormat, LogSettings
from exporter.redaction import Redactor
from exporter.text import printable_lines, shortened

log = structlog.get_logger(__name__)

# A long traceback; the answer of a stranger can be longer.
MAX_VALUE = 16_384


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log, so that their lines look like ours and hold up nothing either."""

    def emit(self, record: logging.LogRecord) -> None:
        # Lines of one place in the code are of one kind: their texts can differ without end.
        place = {KIND: f"{record.pathname}:{record.lineno}"}
        log.log(
            record.levelno, record.getMessage().strip(), logger=record.name, exc_info=record.exc_info, **place
        )


@contextmanager
def logging_to_stderr(settings: LogSettings) -> Iterator[LogWriter]:
    """Log to standard error, for the whole process; at the end, wait a moment for the last lines."""
    limit = RepeatLimit()
    # A closed standard error has no file: its number may be that of any other by now.
    writer = LogWriter(None if sys.__stderr__ is None else sys.__stderr__.fileno(), limit.report)
    _configure(settings, writer, limit)
    with ExitStack() as at_end:
        at_end.callback(writer.close)
        at_end.callback(limit.report, all_kinds=True)
        _take_over(at_end)
        yield writer


def _take_over(at_end: ExitStack) -> None:
    """Take over what libraries and Python itself log, until the end."""
    handler = _LibraryHandler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    at_end.callback(logging.getLogger().removeHandler, handler)
    logging.captureWarnings(capture=True)
    at_end.callback(logging.captureWarnings, capture=False)
    at_end.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
    sys.unraisablehook = _log_unraisable


def _log_unraisable(error: sys.UnraisableHookArgs) -> None:
    """Log an error in a place from which none can be raised, such as the end of an object."""
    place = repr(error.object)
    log.error(error.err_msg or "an error that nothing can catch", place=place, exc_info=error.exc_value)


def _configure(settings: LogSettings, writer: Any, limit: RepeatLimit) -> None:
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[
            limit,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            _join_lists,
            _Redact(Redactor(os.environ)),
            *_RENDERERS[settings.format],
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=writer),
        cache_logger_on_first_use=False,
    )


def _join_lists(_logger: object, _method: str, event: Any) -> Any:
    """Write lists as text: logfmt has no lists."""
    for key, value in event.items():
        if isinstance(value, (list, tuple)):
            event[key] = "; ".join(str(item) for item in value)
    return event


class _Redact:
    """Replaces secrets, and the middle of what is very long."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, _logger: object, _method: str, event: Any) -> Any:
        return {
            key: value if isinstance(value, int | float | None) else self._text(value)
            for key, value in event.items()
        }

    def _text(self, value: object) -> str:
        return self._redact(shortened(str(value), MAX_VALUE))


def _clean(_logger: object, _method: str, event: Any) -> Any:
    """Replace what a terminal would obey. The lines of a traceback are kept: logfmt escapes their ends."""
    return {key: printable_lines(value) if isinstance(value, str) else value for key, value in event.items()}


_RENDERERS: dict[LogFormat, tuple[Processor, ...]] = {
    LogFormat.LOGFMT: (
        _clean,
        structlog.processors.LogfmtRenderer(key_order=["ts", "level", "msg"], bool_as_flag=False),
    ),
    LogFormat.JSON: (structlog.processors.JSONRenderer(),),
}
