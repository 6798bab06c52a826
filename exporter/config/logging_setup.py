"""Log of the daemon: one line for each event, on standard error, as logfmt or JSON."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor

from exporter.config.settings import LogFormat, LogSettings

_RENDERERS: dict[LogFormat, Processor] = {
    LogFormat.LOGFMT: structlog.processors.LogfmtRenderer(
        key_order=["ts", "level", "msg"], bool_as_flag=False
    ),
    LogFormat.JSON: structlog.processors.JSONRenderer(),
}


def set_up_logging(settings: LogSettings) -> None:
    """Configure structlog for the whole process."""
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
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _join_lists(_logger: object, _method: str, event: Any) -> Any:
    """Write lists as text: logfmt has no lists."""
    for key, value in event.items():
        if isinstance(value, (list, tuple)):
            event[key] = "; ".join(str(item) for item in value)
    return event
