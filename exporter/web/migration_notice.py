"""Answers on the port while an older database is migrated, which can take minutes: alive, but not ready."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.web.endpoints import json_response
from exporter.web.listening import Listener
from exporter.web.live_config import LiveWebConfig
from exporter.web.problems import EXCEPTION_HANDLERS, ProblemError
from exporter.web.server import Server, create_server
from exporter.web.service_manager import MORE_TIME
from exporter.web.views import StateView


class MigrationNotice:
    """Server that says which step is under way, from the first step on; at the end it leaves the listeners.

    ``tell_manager`` is given what the service manager is told, so that it waits for the start.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        web_config: LiveWebConfig | None,
        tell_manager: Callable[[str], None],
    ) -> None:
        self._listeners = listeners
        self._web_config = web_config
        self._tell_manager = tell_manager
        self._step = ""
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        # Copies, since a server closes its sockets at its end.
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        """Answer nothing yet: most databases need no migration."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End all answers."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        # A server that is ended while it starts leaves them.
        for each in self._sockets:
            each.close()

    def begin_step(self, step: str) -> None:
        """Say from now on that this step is under way."""
        self._step = step
        self._tell_manager(MORE_TIME)
        if self._thread is None:
            self._server = create_server(self._app(), web_config=self._web_config)
            self._sockets = [listener.socket.dup() for listener in self._listeners]
            run, sockets = self._server.run, self._sockets
            self._thread = threading.Thread(target=run, args=(sockets,), name="migration notice", daemon=True)
            self._thread.start()

    def _app(self) -> Starlette:
        routes = [Route("/-/healthy", self._healthy), Route("/{path:path}", self._unready)]
        return Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)

    def _healthy(self, _request: Request) -> Response:
        return json_response(StateView(status="healthy"))

    def _unready(self, _request: Request) -> Response:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"migrating the database, step {self._step}")
