"""When a run stops before it does harm."""

from __future__ import annotations

import pytest

from mercuri.core.brakes import deletions_brake, deletions_sentence, may_conclude_absence


@pytest.mark.parametrize(
    ("to_archive", "linked", "percent", "trips"),
    [
        (11, 500, 2, True),
        (10, 500, 2, False),
        (10, 10, 2, False),
        (11, 550, 2, False),
        (11, 549, 2, True),
        (11, 11, 100, False),
        (11, 1_000_000, 0, True),
        (0, 0, 0, False),
    ],
)
def test_the_brake_trips_above_the_share_and_above_ten(
    to_archive: int, linked: int, percent: float, trips: bool
) -> None:
    assert deletions_brake(to_archive, linked, percent) is trips


def test_a_stopped_run_says_what_it_would_have_done_and_how_to_go_on() -> None:
    sentence = deletions_sentence(412, 5000, 2)

    assert sentence.startswith("This run would archive 412 of 5,000 linked contacts (limit 2%). Nothing was changed.")
    assert "delete_brake" in sentence


@pytest.mark.parametrize(
    ("completed", "fetched", "met_errors"), [(False, 100, False), (True, 0, False), (True, 100, True), (False, 0, True)]
)
def test_a_cut_empty_or_troubled_sweep_proves_nothing(completed: bool, fetched: int, met_errors: bool) -> None:
    assert not may_conclude_absence(completed=completed, fetched=fetched, met_errors=met_errors)


def test_a_whole_sweep_proves_absence() -> None:
    assert may_conclude_absence(completed=True, fetched=1, met_errors=False)
