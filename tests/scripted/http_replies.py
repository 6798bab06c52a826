"""Replies of the scripted receiver over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF = "application/x-protobuf"


class Manner(Enum):
    """Way in which a reply is sent, or not."""

    WHOLE = auto()
    RESET = auto()
    HANGS = auto()
    DRIPS = auto()


@dataclass(frozen=True)
class Reply:
    """Reply, and whether the request is accepted: all of it but the first `rejected` items."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = PROTOBUF
    keep: bool = False
    rejected: int = 0
    manner: Manner = Manner.WHOLE
    afterwards: "Reply | None" = None


OK = Reply(keep=True)
"""Accepts all: 200 and an empty response, which has no bytes in protobuf."""


def status(code: int, *, retry_after: float | str | None = None) -> Reply:
    """Return a reply with a status, and `Retry-After` if given; nothing is accepted."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(code, headers, b"scripted failure\n", "text/plain")


def refused(code: int, status: Status, *, content_type: str = PROTOBUF) -> Reply:
    """Return a reply with a status and its `google.rpc.Status` in protobuf; nothing is accepted."""
    return Reply(code, body=status.SerializeToString(), content_type=content_type)


def redirect(location: str) -> Reply:
    """Return a redirect with 302; nothing is accepted."""
    return Reply(HTTPStatus.FOUND, {"Location": location})


def html() -> Reply:
    """Return 200 with a page, as from a server that is no receiver; nothing is accepted."""
    return Reply(body=b"<!doctype html><title>Welcome</title>", content_type="text/html")


def json_ok() -> Reply:
    """Return 200 in JSON to a request in protobuf; all is accepted."""
    return Reply(body=b"{}", content_type="application/json", keep=True)


def partial(rejected: int, message: str) -> Reply:
    """Return a `partial_success` that rejects the first items; 0 with a message is a warning."""
    # The response to a log request has the same bytes.
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return Reply(body=response.SerializeToString(), keep=True, rejected=rejected)


def reset() -> Reply:
    """Reset the connection instead of a reply; nothing is accepted."""
    return Reply(manner=Manner.RESET)


def reset_after_keeping() -> Reply:
    """Reset the connection instead of a reply; all is accepted, which the client cannot know."""
    return Reply(manner=Manner.RESET, keep=True)


def hang(afterwards: Reply = OK) -> Reply:
    """Return a reply that is held until `release()`; the request is not accepted if its client has left."""
    return Reply(manner=Manner.HANGS, afterwards=afterwards)


def slow_drip() -> Reply:
    """Return a slow reply: the head of a 200, then single bytes until `release()`; nothing is accepted."""
    return Reply(manner=Manner.DRIPS)
