"""Answers to scrapes, as one text."""

import gzip

from exporter.metrics.exposition import Exposition


def text_of(exposition: Exposition, *, compressed: bool = False) -> str:
    """Return the text of an answer."""
    steps = exposition.answer(compressed=compressed)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            body = b"".join(end.value)
            return (gzip.decompress(body) if compressed else body).decode()
