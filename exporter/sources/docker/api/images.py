"""What images are called of which containers know the id alone: asked once for each, and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

MAX_REMEMBERED = 1_000


class Repositories:
    """The repositories of images by their ids; ``ask`` tells one, or raises EngineError.

    Of the images that were asked about last, so many are remembered. What an image was called first stays:
    a tag that moves on to a newer image makes no other workload of what still runs.
    """

    def __init__(self, ask: Callable[[str], str], most: int = MAX_REMEMBERED) -> None:
        self._ask = ask
        self._most = most
        # Held while one is asked about: of many containers of one image, only the first asks.
        self._lock = threading.Lock()
        self._known: OrderedDict[str, str] = OrderedDict()

    def of(self, image_id: str) -> str:
        """The image's repository. Raises EngineError; then it is asked for again the next time."""
        with self._lock:
            if image_id not in self._known:
                self._known[image_id] = self._ask(image_id)
            self._known.move_to_end(image_id)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
            return self._known[image_id]
