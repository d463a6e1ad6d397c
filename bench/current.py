"""Staying current: runs that find little or nothing, previews, and a full run with its sweep."""

from __future__ import annotations

from collections.abc import Iterator

from bench.harness import LIMITS, NO_LIMITS, OWNER, Figure, HubSpot, Team, a_hubspot, a_team, apart
from bench.store import a_database
from mercuri.core.contact import LinkState
from mercuri.engine import edit
from mercuri.store import contacts, links, portals


def measure(count: int) -> Iterator[Figure]:
    """All on one database that a first load filled, SQLite."""
    with a_hubspot(count, NO_LIMITS) as hubspot, a_database("sqlite") as url:
        figures, peak = apart(_story, hubspot, url, count)
        yield from figures
        yield Figure(f"memory of all this, two full runs of {count:,} included", f"{peak} MB", "< 200 MB")
        seen, peak = apart(_previewed, hubspot, url, count)
        yield from seen
        yield Figure("… its memory", f"{peak} MB", "< 200 MB")


def measure_large(count: int) -> Iterator[Figure]:
    """What it costs to stay current with very many contacts, each part in a process of its own; SQLite."""
    with a_hubspot(count, NO_LIMITS) as hubspot, a_database("sqlite") as url:
        (load,), peak = apart(_first_load, hubspot, url, count)
        yield load
        yield Figure("… its memory", f"{peak} MB", "< 200 MB")
        sweep, peak = apart(_swept, hubspot, url, count)
        yield from sweep
        yield Figure("… its memory", f"{peak} MB", "< 200 MB")
        little, _ = apart(_quiet, hubspot, url, count)
        yield from little


def _first_load(hubspot: HubSpot, url: str, count: int) -> list[Figure]:
    with a_team(hubspot, url, limited=False, two_way=True) as team:
        done = team.sync()
    told = f"{count / done.cpu:,.0f} contacts for each second of its processor time ({done.seconds:,.0f} s in all)"
    return [Figure(f"first load of {count:,} without limits, SQLite", told)]


def _swept(hubspot: HubSpot, url: str, count: int) -> list[Figure]:
    gone = hubspot.ask("GET", "contacts")["ids"][:: max(1, count // 10)][:10]
    for id_ in gone:
        hubspot.ask("POST", "erase", id=id_)
    with a_team(hubspot, url, limited=False, two_way=True) as team:
        done = team.sync(full=True, trigger="schedule")
        with team.app.db.read(team.ws) as tx:
            proof = portals.get(tx, team.portal).sweep
            asleep = links.count(tx, team.portal, state=LinkState.ASLEEP)
    calls = done.run.calls
    asked = f"{calls['list']:,} list, {calls['search']:,} search, {calls['read']:,} read, {calls['write']:,} write"
    told = f"{asleep} of {len(gone)} erased found; HubSpot {proof['hubspot']:,}, in sync {proof['in_sync']:,}"
    return [
        Figure(f"full sweep of {count:,} ids", f"{asked}; {done.cpu:,.0f} s of processor time", "list requests only"),
        Figure("… its differences", told, "exact"),
    ]


def _quiet(hubspot: HubSpot, url: str, count: int) -> list[Figure]:
    with a_team(hubspot, url, limited=True, two_way=True) as team:
        return list(_little(team, hubspot, count))


def _story(hubspot: HubSpot, url: str, count: int) -> list[Figure]:
    loaded = list(_loaded(hubspot, url, count))
    with a_team(hubspot, url, limited=True, two_way=True) as team:
        return [*loaded, *_little(team, hubspot, count)]


def _loaded(hubspot: HubSpot, url: str, count: int) -> Iterator[Figure]:
    with a_team(hubspot, url, limited=False, two_way=True) as team:
        team.sync()
        second = team.sync(full=True)
        silent = f"{second.run.calls['write']} writes, {second.run.counts['updated']} changes, {second.seconds:.1f} s"
        lists, searches = second.run.calls["list"], second.run.calls["search"]
        yield Figure(f"second full sync of {count:,} without edits", silent, "0 writes")
        yield Figure("… its requests, sweep included", f"{lists} list, {searches} search")


def _little(team: Team, hubspot: HubSpot, count: int) -> Iterator[Figure]:
    hubspot.limit(LIMITS)
    team.sync()
    quiet = team.sync()
    asked = sum(quiet.run.calls.values())
    yield Figure(f"nothing changed, {count:,} contacts here", f"{asked} requests, {quiet.seconds:.2f} s", "≤ 2; < 1 s")
    _edit_there(hubspot, 1000, "before the run")
    some = team.sync()
    told = f"{sum(some.run.calls.values())} requests, {some.seconds:.1f} s, {some.run.counts['updated']:,} updated"
    yield Figure(f"1,000 changed of {count:,}", told, "≤ 12 requests; < 5 s")


def _previewed(hubspot: HubSpot, url: str, count: int) -> list[Figure]:
    hubspot.limit(NO_LIMITS)
    with a_team(hubspot, url, limited=False, two_way=True) as team:
        team.sync()
        _edit_there(hubspot, 500, "before the preview")
        with team.app.db.read(team.ws) as tx:
            ids = [held.id for batch in contacts.each(tx) for held in batch][:500]
        for id_ in ids:
            edit.update_contact(team.app, team.ws, id_, {"last_name": f"Edited {id_}"}, OWNER)
        seen = team.sync(preview=True)
    found = seen.run.plan["here"] + seen.run.plan["hubspot"]
    told = f"{seen.seconds:.1f} s with the fetch, {seen.cpu:.1f} s of CPU; {found:,} found"
    return [Figure(f"preview of {count:,} contacts with 1,000 differences", told, "< 10 s beyond the fetch")]


def _edit_there(hubspot: HubSpot, count: int, when: str) -> None:
    ids = hubspot.ask("GET", "contacts")["ids"][-count:]
    for number, id_ in enumerate(ids):
        hubspot.ask("POST", "update", id=id_, properties={"lastname": f"Changed {when} {number}"})
