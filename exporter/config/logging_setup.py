"""Log of the daemon: one line for each event, on standard error, as logfmt or JSON."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import Processor

from exporter.config.log_writer import LogWriter
from exporter.config.settings import LogFormat, LogSettings

log = structlog.get_logger(__name__)

_RENDERERS: dict[LogFormat, Processor] = {
    LogFormat.LOGFMT: structlog.processors.LogfmtRenderer(
        key_order=["ts", "level", "msg"], bool_as_flag=False
    ),
    LogFormat.JSON: structlog.processors.JSONRenderer(),
}


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log, so that their lines look like ours and hold up nothing either."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


@contextmanager
def logging_to_stderr(settings: LogSettings) -> Iterator[LogWriter]:
    """Log to standard error, for the whole process; at the end, wait a moment for the last lines."""
    # A closed standard error has no file: its number may be that of any other by now.
    writer = LogWriter(None if sys.__stderr__ is None else sys.__stderr__.fileno())
    _configure(settings, writer)
    handler = _LibraryHandler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield writer
    finally:
        logging.getLogger().removeHandler(handler)
        writer.close()


def _configure(settings: LogSettings, writer: Any) -> None:
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            _join_lists,
            _RENDERERS[settings.format],
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
