"""Which connection gives way to a new one."""

import resource
from dataclasses import dataclass, field

import pytest

from exporter.web.connections import (
    MAX_CONNECTIONS,
    MAX_TLS_CONNECTIONS,
    RESERVED_FILES,
    Connections,
    connection_limit,
)


@dataclass(eq=False)
class Fake:
    """A connection that notes that it was closed."""

    address: str = "a"
    importance: tuple[bool, bool, float] = (False, False, 0.0)
    is_open: bool = field(default=True)

    def drop(self) -> None:
        self.is_open = False


def test_the_longest_idle_gives_way_and_a_scraper_last() -> None:
    connections = Connections(4)
    scraper, answered, newer, older = (
        Fake("a", (True, False, 0.0)),
        Fake("b", (False, True, 1.0)),
        Fake("a", (False, False, 3.0)),
        Fake("b", (False, False, 2.0)),
    )
    for each in (scraper, answered, newer, older):
        connections.add(each)
    closed = []
    for number in range(4):
        connections.add(Fake(f"new {number}", (True, True, 9.0)))
        closed.append([each.is_open for each in (older, newer, answered, scraper)].count(False))
        assert len(connections) == 4
    assert closed == [1, 2, 3, 4]


def test_one_address_has_half_of_all() -> None:
    connections = Connections(6)
    other = Fake("other")
    connections.add(other)
    flood = [Fake("one", (False, False, float(number))) for number in range(20)]
    for each in flood:
        connections.add(each)
    assert [each.is_open for each in flood] == [False] * 17 + [True] * 3
    assert (other.is_open, len(connections)) == (True, 4)


def test_what_is_closed_counts_no_more() -> None:
    connections = Connections(2)
    for _ in range(5):
        gone = Fake()
        connections.add(gone)
        connections.remove(gone)
        connections.remove(gone)
        assert (gone.is_open, len(connections)) == (True, 0)


@pytest.mark.parametrize(
    ("files", "limit", "tls_limit"),
    [
        (resource.RLIM_INFINITY, MAX_CONNECTIONS, MAX_TLS_CONNECTIONS),
        (1 << 20, MAX_CONNECTIONS, MAX_TLS_CONNECTIONS),
        (RESERVED_FILES + 100, 100, 100),
        (64, 8, 8),
    ],
)
def test_the_limit_leaves_descriptors_for_the_engines(
    monkeypatch: pytest.MonkeyPatch, files: int, limit: int, tls_limit: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (files, files))
    assert [connection_limit(has_tls=has_tls) for has_tls in (False, True)] == [limit, tls_limit]
