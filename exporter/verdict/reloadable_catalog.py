"""The reason catalog in use, which can be replaced while the daemon runs."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from exporter.config.yaml_document import DocumentError
from exporter.verdict.catalog import ReasonCatalog
from exporter.verdict.catalog_file import load_catalog

log = structlog.get_logger(__name__)


class ReloadableCatalog:
    """Current reason catalog. Safe to use from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Load the catalog. Raises DocumentError: a daemon does not start with a bad file."""
        self._path = path
        self._reloading = threading.Lock()
        self._catalog = load_catalog(path)

    @property
    def current(self) -> ReasonCatalog:
        """The catalog of the last successful load."""
        return self._catalog

    def has_code(self, code: int) -> bool:
        """Return whether the current catalog lists the code."""
        return self._catalog.has_code(code)

    def reload(self) -> None:
        """Load the file again. Raises DocumentError if it is bad; the current catalog then stays."""
        with self._reloading:
            try:
                self._catalog = load_catalog(self._path)
            except DocumentError as error:
                log.warning("catalogue file rejected, keeping the previous one", problems=error.problems)
                raise
        log.info("catalogue loaded", file=str(self._path or "built in"))
