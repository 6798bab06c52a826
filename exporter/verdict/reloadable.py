"""The catalogue in use: taken at start, taken anew on request, never left half changed."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from exporter.config.yaml_document import DocumentError
from exporter.verdict import catalog
from exporter.verdict.catalog import ReasonCatalog

log = structlog.get_logger(__name__)


class ReloadableCatalog:
    """Holds the catalogue of now. May be used from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Take the catalogue. Raises DocumentError: a daemon does not start on a bad file."""
        self._path = path
        self._reloading = threading.Lock()
        self._catalogue = catalog.load(path)

    @property
    def catalogue(self) -> ReasonCatalog:
        """The catalogue of now."""
        return self._catalogue

    def knows(self, code: int) -> bool:
        """Whether the catalogue of now has a word for this very code."""
        return self._catalogue.knows(code)

    def reload(self) -> None:
        """Take the file anew. Raises DocumentError where it is refused; the old one stays then."""
        with self._reloading:
            try:
                self._catalogue = catalog.load(self._path)
            except DocumentError as error:
                log.warning("catalogue refused, the one before stays", problems=error.problems)
                raise
        log.info("catalogue taken", file=str(self._path or "built in"))
