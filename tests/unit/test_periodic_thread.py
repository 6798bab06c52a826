"""What is done at intervals: when it begins, how it ends, and what an error does."""

import queue
import threading

import pytest

from exporter.periodic_thread import PeriodicThread

HOUR, MOMENT, SECONDS = 3600.0, 0.001, 10.0


@pytest.mark.parametrize(("at_once", "calls"), [(True, 1), (False, 0)], ids=["at once", "after the interval"])
def test_the_first_call_comes_at_once_or_after_the_interval(*, at_once: bool, calls: int) -> None:
    called = queue.SimpleQueue[None]()
    thread = PeriodicThread("test", HOUR, lambda: called.put(None), at_once=at_once)
    thread.start()
    for _ in range(calls):
        called.get(timeout=SECONDS)
    thread.stop()
    thread.join()
    assert called.empty()


def test_a_thread_that_was_stopped_before_it_began_calls_nothing() -> None:
    called: list[None] = []
    thread = PeriodicThread("test", HOUR, lambda: called.append(None), at_once=True)
    thread.stop()
    thread.start()
    thread.join()
    assert called == []


def test_calls_go_on_until_one_of_them_stops_the_thread() -> None:
    called: list[bool] = []

    def call() -> None:
        called.append(thread.is_stopping())
        if len(called) == 3:
            thread.stop()

    thread = PeriodicThread("test", MOMENT, call)
    thread.start()
    thread.join()
    assert (called, thread.is_stopping()) == ([False] * 3, True)


def test_an_error_ends_the_thread_and_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends by such an error: ``thread_deaths.py`` has this hook."""
    deaths: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", deaths.append)

    def fail() -> None:
        raise ValueError("broken")

    thread = PeriodicThread("test", MOMENT, fail)
    thread.start()
    thread.join()
    [death] = deaths
    assert (death.thread and death.thread.name, str(death.exc_value)) == ("test", "broken")
