"""Repositories of images by image id, read from the engine once each and cached."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

MAX_CACHED = 1_000


class RepositoryCache:
    """Repository of each image id, read by ``load``, which may raise EngineError.

    The ``max_cached`` latest used images are kept. The first result of an id stays: when a tag moves to a
    newer image, containers that still run keep their workload.
    """

    def __init__(self, load: Callable[[str], str], max_cached: int = MAX_CACHED) -> None:
        self._load = load
        self._max_cached = max_cached
        # Held during a request, so that many containers of one image cause only one.
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, str] = OrderedDict()

    def get(self, image_id: str) -> str:
        """Return the image's repository. Raises EngineError; nothing is cached then."""
        with self._lock:
            if image_id not in self._cached:
                self._cached[image_id] = self._load(image_id)
            self._cached.move_to_end(image_id)
            while len(self._cached) > self._max_cached:
                self._cached.popitem(last=False)
            return self._cached[image_id]
