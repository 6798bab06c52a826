"""Messages of the thread that asks the server, for the tracker in the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.model import Cursor, Submission


@dataclass(frozen=True, slots=True)
class Reported:
    """A submission is new, or has changed. What was there at the first answer of all is no news.

    ``was_open``: the report of it before this one was that it had not ended.
    """

    submission: Submission
    is_news: bool
    was_open: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """All that the server knows has been reported, up to a position in its runs."""

    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Failed:
    """The server gave no usable answer."""

    problem: str
