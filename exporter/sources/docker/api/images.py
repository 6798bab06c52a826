"""Images by their ids, read from the engine once each and cached."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_CACHED = 1_000


@dataclass(frozen=True, slots=True)
class Image:
    """Names of an image: its repository, and its digests as ``repository@sha256:…``, none of a local one."""

    repository: str
    digests: tuple[str, ...] = ()


class ImageCache:
    """Names of each image, read by ``load``, which may raise EngineError.

    The ``max_cached`` latest used images are kept. The first result of an id stays: when a tag moves to a
    newer image, containers that still run keep their workload.
    """

    def __init__(self, load: Callable[[str], Image], max_cached: int = MAX_CACHED) -> None:
        self._load = load
        self._max_cached = max_cached
        # Held during a request, so that many containers of one image cause only one.
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, Image] = OrderedDict()
        self._tried: OrderedDict[str, None] = OrderedDict()

    def get(self, image_id: str) -> Image:
        """Return the image. Raises EngineError; nothing is cached then."""
        with self._lock:
            if image_id not in self._cached:
                self._cached[image_id] = self._load(image_id)
            return self._latest_used(image_id)

    def known(self, image_id: str) -> Image | None:
        """Return the image if it has been read."""
        with self._lock:
            return self._latest_used(image_id) if image_id in self._cached else None

    def try_once(self, image_id: str) -> Image | None:
        """Return the image if it can be read at the first attempt. Raises EngineError at that attempt.

        Nobody waits for it: meanwhile, other containers of the image go without.
        """
        with self._lock:
            if image_id in self._cached:
                return self._latest_used(image_id)
            if image_id in self._tried:
                return None
            self._tried[image_id] = None
            self._shrink(self._tried)
        image = self._load(image_id)
        with self._lock:
            self._cached.setdefault(image_id, image)
            return self._latest_used(image_id)

    def _latest_used(self, image_id: str) -> Image:
        self._cached.move_to_end(image_id)
        self._shrink(self._cached)
        return self._cached[image_id]

    def _shrink(self, images: OrderedDict[str, Image] | OrderedDict[str, None]) -> None:
        while len(images) > self._max_cached:
            images.popitem(last=False)
