"""The web server on a loopback socket, with a store, metrics and a catalogue of its own."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

import requests

from exporter import app
from exporter.metrics.state import MetricState
from exporter.pipeline.readiness import Readiness
from exporter.store import Batch, Store
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.admin import AdminRoutes
from exporter.web.api import Api
from exporter.web.change_feed import ChangeFeed
from exporter.web.host_check import AllowedHosts
from exporter.web.listening import open_listener
from exporter.web.live_config import LiveWebConfig
from exporter.web.metrics import MetricsRoutes
from exporter.web.page.options import PageOptions
from exporter.web.page.routes import PageRoutes
from exporter.web.server import create_app, create_server
from exporter.web.stream import StreamRoutes
from exporter.web.summary import SummaryApi
from tests.web.event_stream import EventStream

PATIENCE_SECONDS = 30


class Served:
    """The parts that are served, which a test can change, and a client."""

    def __init__(self, directory: Path) -> None:
        """Create the parts; the database and the catalogue file are in `directory`."""
        self.catalogue_file = directory / "catalogue.yaml"
        self.catalogue_file.touch()
        self.database = directory / "exits.db"
        self.store = Store(self.database)
        self.metric_state = MetricState({})
        self.health = Readiness()
        self.catalog = ReloadableCatalog(self.catalogue_file)
        self.feed = ChangeFeed(self.store, self.catalog)
        self.alive = True
        self.lifecycle = True
        self.allowed = AllowedHosts()
        self.external_url = ""
        self.web_config: LiveWebConfig | None = None
        self.url = ""
        self._http = requests.Session()
        # A proxy of the environment does not know this machine's address.
        self._http.trust_env = False

    @contextmanager
    def running(
        self,
        telemetry_path: str = "/metrics",
        page_options: PageOptions = PageOptions(),  # noqa: B008  # frozen
    ) -> Iterator[Self]:
        """Serve, until the block ends."""
        listener = open_listener("127.0.0.1:0").socket
        has_tls = self.web_config is not None and self.web_config.current.tls is not None
        self.url = f"{'https' if has_tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        page = PageRoutes(self.store, self.catalog, self.health, page_options)
        routes: list[Api | StreamRoutes | SummaryApi | AdminRoutes | MetricsRoutes] = [
            Api(self.store, self.catalog),
            StreamRoutes(self.feed, self.catalog, self.metric_state),
            SummaryApi(self.store),
            MetricsRoutes(self.metric_state, telemetry_path),
            AdminRoutes(
                self.health,
                self.catalog,
                lambda: app.reload(self.catalog, self.metric_state),
                lambda: self.alive,
                lifecycle=self.lifecycle,
            ),
        ]
        endpoints = [endpoint for each in routes for endpoint in each.endpoints()]
        web = create_app(endpoints, page.routes(), self.allowed, self.external_url)
        self.server = create_server(
            web, self.feed.end, web_config=self.web_config, telemetry_path=telemetry_path
        )
        thread = threading.Thread(target=self.server.run, args=([listener],), name="served")
        thread.start()
        self.feed.start()
        try:
            yield self
        finally:
            self._http.close()
            self.server.should_exit = True
            thread.join(PATIENCE_SECONDS)
            self.feed.stop()
            listener.close()
            self.store.close()
            assert not thread.is_alive()

    def commit(self, batch: Batch) -> None:
        """Commit as the pipeline does."""
        self.store.commit(batch)
        self.feed.notify()

    def stream(self, header: str = "", /, **query: str) -> EventStream:
        """Open a stream, with a header Last-Event-ID if it is not empty."""
        return EventStream(self.url, header, query)

    def break_store(self) -> str:
        """Drop the table of jobs; return the store's error from now on."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("DROP TABLE jobs")
        return f"{self.database}: no such table: jobs"

    def ask(self, path: str, method: str = "GET", **options: object) -> requests.Response:
        """Send a request, without following redirects."""
        options = {"timeout": PATIENCE_SECONDS, "allow_redirects": False, **options}
        return self._http.request(method, self.url + path, **options)  # type: ignore[arg-type]
