"""Python's garbage collector, kept from what lives as long as the process.

A full collection looks at every object, and no thread goes on meanwhile. With the libraries, the models of
the API and the series of many workloads, that took 60 to 130 ms in the middle of an answer.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What the first answers load lives on too: templates, statements. They come within the first collections.
_EXEMPTING_COLLECTIONS = 5
_OLDEST = len(gc.get_threshold()) - 1


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing meanwhile, and never look at what there is at the end: modules live on."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def exempt_what_lives_on() -> None:
    """Never look at what there is now, nor at what each of the next full collections leaves.

    That is still freed when nothing refers to it any more, unless it is part of a cycle: hence only so many.
    """
    gc.freeze()
    left = _EXEMPTING_COLLECTIONS

    # A plain function takes one level of Python's stack. A collection may come where hardly more is left: in
    # the middle of an answer that is nested as deep as it may be.
    def exempt(phase: str, info: dict[str, Any]) -> None:
        nonlocal left
        if phase != "stop" or info["generation"] < _OLDEST:
            return
        gc.freeze()
        left -= 1
        if not left:
            gc.callbacks.remove(exempt)

    gc.callbacks.append(exempt)
