"""When the next run is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mercuri.engine.schedule import next_time
from mercuri.errors import UserError

_MORNING = datetime(2026, 11, 30, 8, 1, tzinfo=UTC)


def test_an_interval_keeps_to_the_clock_however_long_the_last_run_took() -> None:
    due = [next_time("every 15m", _MORNING.replace(minute=minute)) for minute in (1, 14, 15)]

    assert [at.minute for at in due if at] == [15, 15, 30]


def test_nine_in_the_morning_stays_nine_when_the_clocks_change() -> None:
    saturday = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)

    sunday = next_time("0 9 * * *", saturday, "Europe/Paris")

    assert sunday == datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["every day", "61 * * * *", "every 1m", "* * * * *", "0 0 30 2 *", "0 0 * * * *", "every 0m", "mon * * * *"]
)
def test_what_names_no_times_or_too_many_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"Nothing was changed|was not changed"):
        next_time(text, _MORNING)
