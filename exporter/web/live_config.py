"""The web configuration while it is in use: loaded again when one of its files changes."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

from exporter.config.yaml_document import DocumentError
from exporter.periodic_thread import PeriodicThread
from exporter.web.config_file import WebConfig, load_web_config, stamp
from exporter.web.tls import CurrentContext

log = structlog.get_logger(__name__)

# Also how long a new certificate may take to be used.
CHECK_SECONDS = 1.0


class LiveWebConfig(PeriodicThread):
    """The configuration of a file and what it names; instead of a broken one, the last good one is kept.

    Only its thread loads; ``current`` may be read from any thread. Raises DocumentError at first.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("web config", CHECK_SECONDS, self.refresh)
        self._path = path
        self.current = load_web_config(path)
        self._problems: list[str] = []

    def stop(self) -> None:
        """Look for changes no more, and return once that is so."""
        super().stop()
        self.join()

    def tls_context(self) -> ssl.SSLContext | None:
        """Return a context that uses the current certificates for each new connection; None without TLS."""
        return None if self.current.tls is None else CurrentContext.of(self._current_tls)

    def refresh(self) -> None:
        """Load the files again if one has changed, or was refused at the last time."""
        stamps = self.current.stamps
        if not self._problems and all(stamp(path) == seen for path, seen in stamps.items()):
            return
        try:
            self.current = self._load()
        except DocumentError as error:
            self._report(error.problems)
        else:
            self._problems = []
            log.info("web configuration reloaded", file=str(self._path))

    def _load(self) -> WebConfig:
        new = load_web_config(self._path)
        if (new.tls is None) != (self.current.tls is None):
            raise DocumentError([f"{self._path}: TLS is turned on or off only by a restart"])
        return new

    def _report(self, problems: list[str]) -> None:
        if problems != self._problems:
            log.error("web configuration refused; the previous one stays in use", causes=problems)
        self._problems = problems

    def _current_tls(self) -> ssl.SSLContext:
        if self.current.tls is None:
            raise ssl.SSLError("the web configuration has no TLS")
        return self.current.tls
