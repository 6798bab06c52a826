"""What the kernel has counted, and who accounts for which kill."""

import pytest

from exporter.track.kernel_count import KernelCount

SECOND = 10**9
NOW = 1_000 * SECOND
WINDOW = 10 * SECOND


@pytest.fixture
def count() -> KernelCount:
    return KernelCount(WINDOW)


def test_what_has_been_explained_explains_nothing_more(count: KernelCount) -> None:
    count.counted(2, NOW)
    count.explained(NOW)
    assert (count.kills, count.unexplained) == ([NOW, NOW], [NOW])
    count.explained(NOW)
    assert (count.kills, count.unexplained) == ([NOW, NOW], [])


def test_the_kill_nearest_to_what_accounts_for_one_is_the_one_explained(count: KernelCount) -> None:
    for seconds in (-3, -1, 2):
        count.counted(1, NOW + seconds * SECOND)
    count.explained(NOW)
    assert count.unexplained == [NOW - 3 * SECOND, NOW + 2 * SECOND]


def test_a_kill_that_was_counted_long_after_it_was_told_of_is_another(count: KernelCount) -> None:
    count.counted(1, NOW - 3 * SECOND)
    count.counted(1, NOW + 2 * SECOND)
    count.explained(NOW)
    assert count.unexplained == [NOW + 2 * SECOND]


@pytest.mark.parametrize(("distance", "left"), [(WINDOW, []), (WINDOW + 1, [NOW])])
def test_a_kill_far_from_what_accounts_for_one_is_another(
    count: KernelCount, distance: int, left: list[int]
) -> None:
    count.counted(1, NOW)
    count.explained(NOW + distance)
    assert count.unexplained == left


def test_who_accounts_for_a_kill_may_be_ahead_of_its_count(count: KernelCount) -> None:
    count.explained(NOW)
    count.counted(1, NOW + SECOND // 4)
    assert count.unexplained == []


def test_who_accounts_for_a_kill_may_be_further_ahead_than_the_window_is_wide() -> None:
    count = KernelCount(SECOND // 10)
    count.explained(NOW)
    count.counted(1, NOW + SECOND // 4)
    assert count.unexplained == []


def test_a_kill_that_was_told_of_and_never_counted_hides_no_later_one(count: KernelCount) -> None:
    count.explained(NOW)
    count.counted(1, NOW + 2 * SECOND)
    assert count.unexplained == [NOW + 2 * SECOND]


def test_who_is_ahead_of_its_count_gives_back_the_kill_of_another(count: KernelCount) -> None:
    count.counted(1, NOW - SECOND)
    count.explained(NOW)
    assert count.unexplained == []
    count.counted(1, NOW + SECOND // 100)
    assert count.unexplained == [NOW - SECOND]


def test_a_kill_that_is_given_back_goes_to_the_next_who_wants_it(count: KernelCount) -> None:
    count.counted(1, NOW - 2 * SECOND)
    count.counted(1, NOW - 4 * SECOND)
    count.explained(NOW)
    count.explained(NOW - SECOND)
    # The first has the kill two seconds before it, the other the one that is three seconds before.
    count.counted(1, NOW + SECOND // 100)
    assert count.unexplained == [NOW - 4 * SECOND]


def test_a_kill_long_after_it_is_nobodys(count: KernelCount) -> None:
    count.counted(1, NOW - 5 * SECOND)
    count.explained(NOW)
    count.counted(1, NOW + 2 * SECOND)
    assert count.unexplained == [NOW + 2 * SECOND]


def test_kills_long_past_are_forgotten_at_the_next(count: KernelCount) -> None:
    count.counted(2, NOW)
    count.explained(NOW)
    later = NOW + 2 * WINDOW + 1
    count.counted(1, later)
    assert (count.kills, count.unexplained) == ([later], [later])


@pytest.mark.parametrize("later", [0, -2 * SECOND])
def test_a_kill_may_be_set_free_until_half_a_second_after_the_latest_was_told(
    count: KernelCount, later: int
) -> None:
    count.explained(NOW)
    count.explained(NOW + later)
    assert count.may_set_free(NOW + SECOND // 2)
    assert not count.may_set_free(NOW + SECOND // 2 + 1)


def test_what_was_told_long_ago_sets_nothing_free(count: KernelCount) -> None:
    count.explained(NOW)
    count.counted(1, NOW + 2 * WINDOW + 1)
    assert (len(count._accounts), count.may_set_free(NOW)) == (0, False)


def test_a_clock_that_was_set_back_leaves_nothing_of_before(count: KernelCount) -> None:
    count.counted(1, NOW)
    count.explained(NOW)
    before = NOW - 100 * SECOND
    count.counted(1, before)
    assert (count.kills, count.unexplained, count.latest_ns) == ([before], [before], before)
    assert not count.may_set_free(before)


def test_a_counter_gone_mad_takes_no_more_memory_than_ten_thousand_kills(count: KernelCount) -> None:
    count.counted(10**12, NOW)
    count.counted(10**12, NOW)
    assert (len(count.kills), len(count.unexplained)) == (10_000, 10_000)


def test_kills_of_an_engine_whose_kernel_is_not_watched_leave_little_behind(count: KernelCount) -> None:
    for second in range(20_000):
        count.explained(second * SECOND)
    assert len(count._accounts) <= 10_000
