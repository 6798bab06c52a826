"""Messages in the format of server-sent events (``text/event-stream``)."""

from __future__ import annotations

MEDIA_TYPE = "text/event-stream"
# A cache must not keep a stream, and nginx must not hold it back.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_message(event: str, data: str, event_id: str) -> bytes:
    """Return an event as a client dispatches it; ``data`` is one line, such as JSON."""
    return f"event: {event}\nid: {event_id}\ndata: {data}\n\n".encode()


def opening_message(event_id: str, retry_seconds: float) -> bytes:
    """Return what a client keeps to reconnect by: after how long, and from where. It dispatches no event."""
    return f"retry: {round(retry_seconds * 1000)}\nid: {event_id}\n\n".encode()


def keep_alive_message(event_id: str) -> bytes:
    """Return a comment, with the id that a client resumes from. It dispatches no event."""
    return f": keep-alive\nid: {event_id}\n\n".encode()
