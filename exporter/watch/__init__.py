"""Watching one engine: a thread that reads and parses, and hands everything on without judging."""

from exporter.watch.messages import (
    Connected,
    Content,
    Disconnected,
    Inbox,
    Inspected,
    Logged,
    Message,
    Read,
    Seen,
    StartFailed,
)
from exporter.watch.watcher import Patience, Watch

__all__ = [
    "Connected",
    "Content",
    "Disconnected",
    "Inbox",
    "Inspected",
    "Logged",
    "Message",
    "Patience",
    "Read",
    "Seen",
    "StartFailed",
    "Watch",
]
