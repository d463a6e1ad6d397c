"""Search windows: closed, exact, and small enough to be read to their end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mercuri.core.windows import MAX_ID, RESULTS, Window, fits, increment, split


def test_a_window_that_can_be_read_is_left_whole() -> None:
    window = Window(0, 1000)

    assert split(window, 0) == (window,)
    assert split(window, RESULTS - 1) == (window,)


def test_a_window_with_ten_thousand_results_is_split_by_time() -> None:
    assert split(Window(0, 99), RESULTS) == (Window(0, 49), Window(50, 99))


def test_one_millisecond_is_split_by_record_id() -> None:
    low, high = split(Window(5, 5), 50_000)

    assert (low.start_ms, low.end_ms, high.start_ms, high.end_ms) == (5, 5, 5, 5)
    assert (low.low_id, low.high_id + 1, high.high_id) == (0, high.low_id, MAX_ID)
    assert low.is_by_id
    assert high.is_by_id
    assert not Window(5, 5).is_by_id


def test_two_milliseconds_are_not_split_into_more_than_two() -> None:
    assert split(Window(5, 6), 90_000) == (Window(5, 5), Window(6, 6))


def test_an_increment_steps_back_by_the_overlap() -> None:
    assert increment(10_000, 60_000, 3_000) == Window(7_000, 60_000)
    assert increment(1_000, 60_000, 3_000) == Window(0, 60_000)


def test_a_clock_that_went_back_still_gives_a_window() -> None:
    assert increment(90_000, 60_000, 3_000) == Window(57_000, 60_000)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**12),
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, MAX_ID), st.sampled_from([1, 900, 12_000])), max_size=6),
)
def test_splitting_ends_and_covers_every_record_exactly_once(
    start: int, length: int, clusters: list[tuple[int, int, int]]
) -> None:
    # A cluster is many records with one time stamp and neighbouring ids.
    held = [(start + at % (length + 1), min(first, MAX_ID - count), count) for at, first, count in clusters]
    windows, read, requests = [Window(start, start + length)], 0, 0

    while windows:
        window = windows.pop()
        total = sum(_inside(window, *cluster) for cluster in held)
        parts = split(window, total)
        requests += 1
        if fits(total):
            read += total
        else:
            assert all(_size(part) < _size(window) for part in parts)
            assert sum(_size(part) for part in parts) == _size(window)
            windows.extend(parts)

    assert read == sum(count for _, _, count in held)
    assert requests < 1500


def _inside(window: Window, at: int, first: int, count: int) -> int:
    if not window.start_ms <= at <= window.end_ms:
        return 0
    return max(0, min(first + count - 1, window.high_id) - max(first, window.low_id) + 1)


def _size(window: Window) -> int:
    return (window.end_ms - window.start_ms + 1) * (window.high_id - window.low_id + 1)
