"""The port to a collector: what is sent to it, and what its answers mean for those who sent it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exporter.otlp.encoding import Request

_MAX_SAID = 400


def plain(text: str) -> str:
    """A collector's words, or of what answers in its place, fit for a log."""
    shown = "".join(character if character.isprintable() else " " for character in text[:_MAX_SAID])
    return shown.strip()


@dataclass(frozen=True, slots=True)
class Accepted:
    """It has taken the request, but for so many items ``rejected`` for good; ``message`` says why."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Something in the request will never be taken."""

    cause: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """It could not be told, or did not understand who told it; the request itself may be good.

    ``retry_seconds`` is how long it asks to be left alone; None where it does not say. ``overcome``: this
    very request may be what it failed at, being too much or too strange.
    """

    cause: str
    retry_seconds: float | None = None
    overcome: bool = False


Answer = Accepted | Refused | Unavailable


class Collector(Protocol):
    """One way to one collector. A call waits for no longer than the target's seconds for what comes next."""

    @property
    def address(self) -> str:
        """Where it is, for people; without secrets."""

    def send(self, request: Request) -> Answer:
        """Tell it; whatever goes wrong is an answer too."""

    def close(self) -> None:
        """Let go of connections."""
