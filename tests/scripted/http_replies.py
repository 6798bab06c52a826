"""What a scripted receiver replies over HTTP, and whether it keeps what it was sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF = "application/x-protobuf"


class Manner(Enum):
    """How a reply is given, if it is."""

    WHOLE = auto()
    RESET = auto()
    HANGS = auto()
    DRIPS = auto()


@dataclass(frozen=True)
class Reply:
    """A reply, and whether what was sent is kept: all of it but the first `rejected`."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = PROTOBUF
    keep: bool = False
    rejected: int = 0
    manner: Manner = Manner.WHOLE
    afterwards: "Reply | None" = None


OK = Reply(keep=True)
"""All is accepted: 200 and an empty response, which in protobuf is no byte at all."""


def status(code: int, *, retry_after: float | str | None = None) -> Reply:
    """Keep nothing and reply with a status, perhaps with `Retry-After` as it is given."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(code, headers, b"scripted failure\n", "text/plain")


def redirect(location: str) -> Reply:
    """Keep nothing and send the client elsewhere with 302."""
    return Reply(HTTPStatus.FOUND, {"Location": location})


def html() -> Reply:
    """Keep nothing and reply 200 with a page, as something does that is no receiver."""
    return Reply(body=b"<!doctype html><title>Welcome</title>", content_type="text/html")


def json_ok() -> Reply:
    """Keep all and reply 200 in JSON, though it was asked in protobuf."""
    return Reply(body=b"{}", content_type="application/json", keep=True)


def partial(rejected: int, message: str) -> Reply:
    """Keep all but the first so many, and say so in a `partial_success`; 0 with a message is a warning."""
    # Of a log request's response the same bytes say the same.
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return Reply(body=response.SerializeToString(), keep=True, rejected=rejected)


def reset() -> Reply:
    """Keep nothing, and reset the connection in place of a reply."""
    return Reply(manner=Manner.RESET)


def reset_after_keeping() -> Reply:
    """Keep all, and reset the connection in place of a reply: the client cannot know."""
    return Reply(manner=Manner.RESET, keep=True)


def hang(afterwards: Reply = OK) -> Reply:
    """Do nothing until `release()`, then reply this; a client that has hung up by then gets nothing kept."""
    return Reply(manner=Manner.HANGS, afterwards=afterwards)


def slow_drip() -> Reply:
    """Keep nothing, send the head of a 200 and then a byte now and then, until `release()` or the end."""
    return Reply(manner=Manner.DRIPS)
