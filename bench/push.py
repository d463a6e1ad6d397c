"""Writing to HubSpot: 10,000 edits at the ceiling of its limits, and without limits on both databases."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

from bench.harness import BACKENDS, LIMITS, NO_LIMITS, Done, Figure, HubSpot, Team, a_hubspot, a_team, apart
from bench.store import a_database
from mercuri.engine import writes
from mercuri.store import contacts

#: Requests of one of HubSpot's windows, and its length in seconds (`LIMITS`).
_WINDOW, _SECONDS = 110, 10
_STEP = 500


def measure(count: int) -> Iterator[Figure]:
    """At most 10,000 contacts, each of them edited here."""
    edits = min(count, 10_000)
    for backend in BACKENDS:
        with a_hubspot(edits, NO_LIMITS) as hubspot, a_database(backend) as url:
            (done, _), peak = apart(_push, hubspot, url, False)
        calls = done.run.calls
        told = f"{calls['write']} writes, {calls['read']} reads; {done.cpu:.1f} s of CPU, {peak} MB"
        yield Figure(f"push of {edits:,} edits without limits, {backend}", told, "≤ 101 writes; < 60 s of CPU")
    with a_hubspot(edits, NO_LIMITS) as hubspot, a_database("sqlite") as url:
        (done, sent), _ = apart(_push, hubspot, url, True)
    told = f"{_share(sent):.0%}, {done.run.calls['throttled']} throttled; {done.seconds:.0f} s, {done.cpu:.1f} s of CPU"
    yield Figure(f"push of {edits:,} edits under limits: share of the ceiling, reads and writes", told, "≥ 95 %")


def _share(sent: list[float]) -> float:
    """Of the requests that whole windows allow, how many were sent in the time that they took."""
    windows = (len(sent) - 1) // _WINDOW
    return windows * _SECONDS / (sent[windows * _WINDOW] - sent[0]) if windows else 0.0


def _push(hubspot: HubSpot, url: str, limited: bool) -> tuple[Done, list[float]]:
    """A run that sends them, and when it sent each request that counts towards the window (searches do not)."""
    with a_team(hubspot, url, limited=limited, two_way=True) as team:
        hubspot.limit(NO_LIMITS)
        team.sync()
        team.sync()
        _edit_all(team)
        hubspot.limit(LIMITS if limited else NO_LIMITS)
        sent: list[float] = []

        def note(request: httpx.Request) -> None:
            if not request.url.path.endswith("/search"):
                sent.append(time.perf_counter())

        team.app.http.event_hooks = {"request": [note]}
        return team.sync(), sent


def _edit_all(team: Team) -> None:
    with team.app.db.read(team.ws) as tx:
        ids = [held.id for batch in contacts.each(tx) for held in batch]
    by = writes.By("bench", "user", team.app.now(), "edited")
    for start in range(0, len(ids), _STEP):
        with team.app.db.write(team.ws) as tx:
            rules = writes.rules_of(tx)
            for held in contacts.lock(tx, ids[start : start + _STEP]).values():
                writes.change(tx, held, {"last_name": f"Edited {held.id}"}, by, rules)
