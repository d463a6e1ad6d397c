"""How a run is said at the terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from mercuri.cli.progress import title
from mercuri.core.contact import PortalId, RunId
from mercuri.store.runs import Run

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_a_waiting_run_says_why_and_until_which_day_and_time():
    message = "HubSpot's daily limit is used up."
    run = Run(RunId(1), PortalId("4242"), "full", "cli", False, "waiting", "", {}, {}, NOON, message=message)

    told = [title(run), title(replace(run, resume_at=datetime(2026, 12, 1, 5, tzinfo=UTC)))]

    assert told == [f"Waiting: {message}", f"Waiting until 01 Dec 05:00 UTC: {message}"]
