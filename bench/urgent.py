"""How soon an opt-out reaches HubSpot while a full sync uses the whole of HubSpot's limits."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

from bench.harness import LIMITS, NO_LIMITS, OWNER, Figure, HubSpot, Team, a_hubspot, a_team, apart, ms
from bench.store import a_database
from mercuri.core.normalise import Refused, normalise_phone
from mercuri.engine import consent
from mercuri.engine import run as runs
from mercuri.store import contacts

#: How long the full sync has to fill its window before the first opt-out, and between two of them; in seconds.
_FILL, _PAUSE = 12.0, 2.0
_OUTS = 10


def measure(count: int) -> Iterator[Figure]:
    """Ten opt-outs during a full sync that a person waits for, SQLite."""
    count = min(count, 80_000)
    with a_hubspot(count, NO_LIMITS) as hubspot, a_database("sqlite") as url:
        hubspot.ask("POST", "properties", name="sms_opt_in", label="SMS", type="bool", fieldType="booleancheckbox")
        times, between = apart(_story, hubspot, url)[0]
        told = (
            f"in {ms(sorted(times)[len(times) // 2])} (longest {ms(max(times))}), after {max(between)} other requests"
        )
        yield Figure(f"an opt-out during a full sync of {count:,} under limits", told, "as the next request")


def _story(hubspot: HubSpot, url: str) -> tuple[list[float], list[int]]:
    mapped = [{"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"}]
    with a_team(hubspot, url, limited=False, consent_mapping=mapped) as team:
        team.sync()
    hubspot.limit(LIMITS)
    with a_team(hubspot, url, limited=True) as team:
        asked = runs.request(team.app, team.ws, team.portal, full=True, trigger="button", actor=OWNER)
        sync = threading.Thread(target=runs.execute, args=(team.app, team.ws, asked.id), kwargs={"owner": "bench"})
        sync.start()
        time.sleep(_FILL)
        told = (_opt_out(hubspot, team, phone) for phone in _phones(team))
        found = list(itertools.islice((one for one in told if one is not None), _OUTS))
        assert sync.is_alive(), "the sync was over too soon"
        runs.cancel(team.app, team.ws, asked.id, OWNER)
        sync.join()
    return [seconds for seconds, _ in found], [others for _, others in found]


def _phones(team: Team) -> list[str]:
    with team.app.db.read(team.ws) as tx:
        people = next(contacts.each(tx))
    phones = [one.fields.get("phone", "") for one in people]
    return [phone for phone in phones if not isinstance(normalise_phone(phone, "US"), Refused)]


def _opt_out(hubspot: HubSpot, team: Team, phone: str) -> tuple[float, int] | None:
    """Seconds from a person's STOP to HubSpot's answer, and how many requests of the sync came in between.

    None where HubSpot had nothing to be told.
    """
    began, at_ms = time.perf_counter(), int(time.time() * 1000)
    consent.record(team.app, team.ws, "sms", phone, "message", OWNER, text="STOP")
    if not consent.push_outs(team.app, team.ws, team.portal):
        return None
    took = time.perf_counter() - began
    time.sleep(_PAUSE)
    later = [one for one in hubspot.ask("GET", "log")["requests"] if one["at"] >= at_ms and one["kind"] != "search"]
    return took, next(number for number, one in enumerate(later) if one["kind"] == "write")
