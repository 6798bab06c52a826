"""What a scrape answers: the text of each series is kept, and rendered anew only when it has changed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from itertools import accumulate, chain, islice
from typing import TypeVar

from exporter.metrics.collector import build_registry
from exporter.metrics.definitions import METRICS, Metric, MetricType
from exporter.metrics.held_series import parts, whole
from exporter.metrics.series_template import Encoder, series_template
from exporter.metrics.series_view import SeriesView
from exporter.metrics.text_blocks import TextBlock, TextBlocks
from exporter.metrics.update import Exemplar
from exporter.model import SeriesKey

Steps = Generator[None, None, list[bytes]]
"""Work in steps of about a millisecond, between which others may be served; returns the parts of a text."""

# Of RFC 1952: deflated, without a name and a time, compressed fast, by an unknown system.
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"
_END_OF_DEFLATED = b"\x03\0"
_DESCRIBED_IN_A_STEP = 4
_RENDERED_IN_A_STEP = 100
_COMPARED_IN_A_STEP = 1000
_BLOCKS_IN_A_STEP = 16

T = TypeVar("T")


class Exposition:
    """Text of a view's series in one format; of only the samples in ``names``, if any.

    After an answer that was not completed, it must not be asked for another one.
    """

    def __init__(self, view: SeriesView, encoder: Encoder, names: Collection[str] = ()) -> None:
        self._view = view
        self._encoder = encoder
        self._names = names
        self._values: Mapping[SeriesKey, float] = {}
        self._exemplars: Mapping[SeriesKey, Exemplar] = {}
        self._texts: dict[str, _MetricText] = {}
        self._undescribed = iter(METRICS)
        self._standard = build_registry(None)

    def answer(self, *, compressed: bool) -> Steps:
        """Return all series at one moment, as text or compressed by gzip."""
        # The first time, making this was a step of its own.
        yield
        yield from self._describe()
        yield from self._render_changed()
        blocks = [*self._blocks(), TextBlock([self._standard_text()])]
        return (yield from (_gzip if compressed else _plain)(blocks))

    def _describe(self) -> Iterator[None]:
        """Make the templates of all metrics, at the first answer."""
        for metrics in _batches(self._undescribed, _DESCRIBED_IN_A_STEP):
            texts = [_MetricText(metric, self._encoder, self._names) for metric in metrics]
            self._texts |= {text.metric.name: text for text in texts if text.template.lines}
            yield

    def _render_changed(self) -> Iterator[None]:
        values, exemplars = self._view.snapshot(), self._view.exemplars()
        changed = dict[SeriesKey, None]()
        for keys in chain(_changes(self._values, values), _changes(self._exemplars, exemplars)):
            changed |= {whole(key): None for key in keys if key[0] in self._texts}
            yield
        for groups in _batches(changed, _RENDERED_IN_A_STEP):
            for group in groups:
                self._texts[group[0]].render(group, values, exemplars)
            yield
        self._values, self._exemplars = values, exemplars

    def _blocks(self) -> Iterator[TextBlock]:
        for text in self._texts.values():
            blocks = [*text.blocks]
            # Without names a metric is described before its first series.
            if blocks or not self._names:
                yield text.comments
            yield from blocks

    def _standard_text(self) -> bytes:
        registry = self._standard
        return self._encoder(registry.restricted_registry(self._names) if self._names else registry)


class _MetricText:
    """Text of a metric."""

    def __init__(self, metric: Metric, encoder: Encoder, names: Collection[str]) -> None:
        self.metric = metric
        self.template = series_template(metric, encoder, names)
        self.comments = TextBlock([self.template.comments])
        self.blocks = TextBlocks()

    def render(
        self, group: SeriesKey, values: Mapping[SeriesKey, float], exemplars: Mapping[SeriesKey, Exemplar]
    ) -> None:
        """Write a counter or gauge, or the parts of a histogram, or remove it if it has no values."""
        keys = parts(group)
        labels = group[1][:-1] if self.metric.type is MetricType.HISTOGRAM else group[1]
        if not any(map(values.__contains__, keys)):
            self.blocks.put(labels, None)
            return
        first, *buckets = (values.get(key, 0) for key in keys)
        numbers = [first, *accumulate(buckets)]
        self.blocks.put(labels, self.template.render(labels, numbers, [exemplars.get(key) for key in keys]))


def _changes(
    before: Mapping[SeriesKey, object], now: Mapping[SeriesKey, object]
) -> Iterator[list[SeriesKey]]:
    """Yield the series that are new, removed or have another value, a few at a time."""
    # One comparison of all is faster than one of each by far, and mostly enough.
    if before == now:
        return
    added = 0
    for batch in _batches(now.items(), _COMPARED_IN_A_STEP):
        changed = [key for key, value in batch if before.get(key) != value]
        added += sum(key not in before for key in changed)
        yield changed
    if len(before) + added > len(now):
        for keys in _batches(before, _COMPARED_IN_A_STEP):
            yield [key for key in keys if key not in now]


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _plain(blocks: list[TextBlock]) -> Steps:
    parts = []
    for some in _batches(blocks, _BLOCKS_IN_A_STEP):
        parts.append(b"".join([block.text for block in some]))
        yield
    return parts


def _gzip(blocks: list[TextBlock]) -> Steps:
    """Return the texts of blocks as one gzip file, of which only those that have changed are compressed."""
    for block in blocks:
        if block.deflate():
            yield
    checksum, size = 0, 0
    for some in _batches(blocks, _BLOCKS_IN_A_STEP):
        text = b"".join([block.text for block in some])
        checksum, size = zlib.crc32(text, checksum), size + len(text)
        yield
    end = struct.pack("<2L", checksum, size)
    return [b"".join([_GZIP_HEAD, *(block.deflated for block in blocks), _END_OF_DEFLATED, end])]
