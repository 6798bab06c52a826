"""dstack's server as the settings describe it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exporter.config.settings import Settings, Switch
from exporter.model import Cursor
from exporter.sources.source import Inbox, Records, SourceError

if TYPE_CHECKING:
    from exporter.sources.dstack.server import DstackServer
    from exporter.sources.dstack.tracker import SubmissionTracker


def dstack_server(settings: Settings, environment: Mapping[str, str], inbox: Inbox) -> DstackServer | None:
    """Return the server to ask, None without one. Raises SourceError if there is no usable token."""
    chosen = settings.dstack
    if not chosen.url:
        if chosen.token_file or chosen.projects:
            raise SourceError(
                "--dstack.token-file and --dstack.projects need a server: give --dstack.url too"
            )
        return None
    # Most daemons have no such server: only one that has builds the models of its answers.
    from exporter.sources.dstack.client import DstackClient  # noqa: PLC0415
    from exporter.sources.dstack.server import DstackServer  # noqa: PLC0415
    from exporter.sources.dstack.token import token_reader  # noqa: PLC0415

    client = DstackClient(chosen.url, token_reader(chosen.token_file, environment))
    return DstackServer(client, inbox, chosen.projects, chosen.interval)


def submission_tracker(
    settings: Settings, server: DstackServer, records: Records, cursor: Cursor | None
) -> SubmissionTracker:
    """Return the tracker of the server's reports."""
    from exporter.sources.dstack.tracker import SubmissionTracker  # noqa: PLC0415

    return SubmissionTracker(
        server.address,
        records,
        cursor,
        order=settings.workload.order,
        lists_jobs=settings.dstack.not_created is Switch.ON,
    )
