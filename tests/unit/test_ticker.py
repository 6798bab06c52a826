"""The one thread for the watchdogs of all engines."""

import queue
import threading

from exporter.sources.docker.watch.ticker import Ticker
from tests.lab.wait import wait_until

PATIENCE_SECONDS = 10


def test_one_thread_calls_all_for_as_long_as_there_are_any() -> None:
    ticker, called = Ticker(0.01), queue.SimpleQueue[tuple[str, threading.Thread]]()

    def first() -> None:
        called.put(("first", threading.current_thread()))

    def second() -> None:
        called.put(("second", threading.current_thread()))

    ticker.add(first)
    ticker.add(second)
    seen = {called.get(timeout=PATIENCE_SECONDS) for _ in range(9)}
    assert {name for name, _ in seen} == {"first", "second"}
    ((_, thread), _) = seen
    assert {each for _, each in seen} == {thread}
    ticker.remove(first)
    ticker.remove(second)
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    ticker.add(first)
    assert wait_until(lambda: called.get(timeout=PATIENCE_SECONDS)[1] is not thread, PATIENCE_SECONDS)
    ticker.remove(first)
