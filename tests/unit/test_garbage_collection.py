"""What the garbage collector leaves alone, and what it still finds."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from exporter import garbage_collection


class Thing:
    """An object that can be part of a cycle."""


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    callbacks = list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def is_looked_at(thing: object) -> bool:
    """Return whether a full collection looks at an object."""
    return any(each is thing for each in gc.get_objects())


def test_what_was_made_while_it_paused_is_left_alone() -> None:
    with garbage_collection.paused():
        assert not gc.isenabled()
        thing = Thing()
    assert gc.isenabled()
    assert not is_looked_at(thing)


def test_it_goes_on_after_an_error_with_all_that_there_is() -> None:
    thing = Thing()
    with pytest.raises(ValueError, match="no"), garbage_collection.paused():
        raise ValueError("no")
    assert gc.isenabled()
    assert is_looked_at(thing)


def test_only_what_is_left_by_the_first_full_collections_is_left_alone() -> None:
    garbage_collection.exempt_what_lives_on()
    found = []
    for _ in range(8):
        thing = Thing()
        gc.collect(1)
        assert is_looked_at(thing)
        gc.collect()
        found.append(is_looked_at(thing))
    assert found == [False] * 5 + [True] * 3


def test_cycles_that_come_later_are_deleted() -> None:
    garbage_collection.exempt_what_lives_on()
    for _ in range(8):
        thing = Thing()
        thing.itself = thing  # type: ignore[attr-defined]
        found = ref(thing)
        del thing
        gc.collect()
        assert found() is None
