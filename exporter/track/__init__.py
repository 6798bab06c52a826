"""Joining: what an engine tells of its containers, put together into jobs that began or ended."""

from exporter.track.records import Rules
from exporter.track.tracker import Tracker

__all__ = ["Rules", "Tracker"]
