"""Which texts are a schedule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mercuri.core.cron import interval, is_schedule


@pytest.mark.parametrize(
    "text",
    [
        "off",
        "every 1m",
        "every 2h",
        "every 1d",
        "*/15 * * * *",
        "0 6,18 1-15 jan-jun MON,fri",
        "5 0 * * 0",
        "5 0 * * 7",
    ],
)
def test_a_schedule_is_recognised(text: str) -> None:
    assert is_schedule(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "on", "every 0m", "every m", "every 5s", "every 15 minutes", "* * * *", "* * * * * *", "60 * * * *"),
        *(
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "1-2-3 * * * *",
            "a * * * *",
        ),
        *("-1 * * * *", "1,, * * * *", "*/x * * * *", "mon * * * *", "² * * * *"),
    ],
)
def test_what_is_no_schedule_is_not(text: str) -> None:
    assert not is_schedule(text)


def test_an_interval_is_told_in_time() -> None:
    assert interval("every 15m") == timedelta(minutes=15)
    assert interval("every 2h") == timedelta(hours=2)
    assert interval("0 6 * * *") is None
