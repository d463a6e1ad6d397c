"""The first load: under HubSpot's limits, on the list alone and with search, and without limits on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bench import baselines
from bench.harness import BACKENDS, LIMITS, NO_LIMITS, Figure, HubSpot, a_hubspot, a_team, apart, cpu
from bench.sampling import Sampling
from bench.store import a_database
from mercuri.core.settings import DEFAULT_MAPPING
from mercuri.hubspot.searching import Searching

_CEILING = 1100
#: Enough contacts to see the rate under limits, in a minute and a half.
_LIMITED = 100_000
_REACH = {"sqlite": "≥ 10,000/s; < 200 MB", "postgresql": "≥ 8,000/s"}
#: What a load is given that hears an opt-in property, and what one to compare it with, that takes it as a field.
_HEARD = {"consent_mapping": [{"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"}]}
_TAKEN = {
    "mapping": [
        *({"property": item.property, "field": item.field} for item in DEFAULT_MAPPING),
        {"property": "sms_opt_in", "field": "custom.sms_opt_in"},
    ]
}
#: How often these two take turns.
_TURNS = 5


@dataclass(frozen=True)
class _Loaded:
    rate: float
    cpu: float  # µs for each contact, of this process
    server: float  # the same, of the database's
    calls: dict[str, int]


def measure(contacts: int) -> Iterator[Figure]:
    """Each load in a process of its own; so many contacts without limits, at most 100,000 under limits."""
    yield from _under_limits(min(contacts, _LIMITED))
    with a_hubspot(contacts, NO_LIMITS) as hubspot:
        client = baselines.official(hubspot.url)
        for backend in BACKENDS:
            yield from _without_limits(hubspot, backend, contacts, client)


def _under_limits(contacts: int) -> Iterator[Figure]:
    with a_hubspot(contacts, LIMITS) as hubspot:
        plain, client = baselines.serial(hubspot.url), baselines.official(hubspot.url)
        alone, _ = apart(_load, hubspot, "", True, False)
        told = f"{alone.rate:,.0f} contacts/s, {alone.rate / _CEILING:.0%}; {alone.calls['throttled']} throttled"
        yield Figure(f"first load of {contacts:,} under limits, list alone", told, "≥ 95 % of 1,100/s; 0 throttled")
        both, _ = apart(_load, hubspot, "", True, True)
        lanes = f"{both.calls['list']} list, {both.calls['search']} search"
        yield Figure("… with the search lane", f"{both.rate:,.0f} contacts/s ({lanes})", "≥ 1,700/s")
        yield Figure("… against a plain serial reader", f"{both.rate / plain:.1f} × {plain:,.0f}/s", "≥ 3 ×")
        yield Figure("… against the official client", f"{both.rate / client:.1f} × {client:,.0f}/s", "≥ 3 ×")


def _without_limits(hubspot: HubSpot, backend: str, contacts: int, client: float) -> Iterator[Figure]:
    with a_database(backend) as url:
        done, peak = apart(_load, hubspot, url, False, True)
    read = f"{done.rate / client:.1f} × the official client's read"
    told = f"{done.rate:,.0f} contacts/s, {done.cpu:.0f} µs of CPU each, {peak} MB, {read}"
    yield Figure(f"first load of {contacts:,} without limits, {backend}", told, _REACH[backend])
    yield Figure("… what an opt-in property adds to one that is only a field", _consent(hubspot, backend), "< 20 µs")
    with a_database(backend) as url:
        profile, _ = apart(_profile, hubspot, url)
    yield Figure("… where the storing thread's time goes", profile)


def _consent(hubspot: HubSpot, backend: str) -> str:
    """The least of each, in turns: what else the machine does only ever adds, 15 % from one load to the next."""
    taken, heard = [], []
    for _ in range(_TURNS):
        for done, settings in ((taken, _TAKEN), (heard, _HEARD)):
            with a_database(backend) as url:
                done.append(apart(_load, hubspot, url, False, True, settings)[0])
    program = min(one.cpu for one in heard) - min(one.cpu for one in taken)
    server = min(one.server for one in heard) - min(one.server for one in taken)
    of_server = f", {server:+.0f} µs of the server's" if server else ""
    return f"{program:+.0f} µs of CPU each{of_server}; the least of {_TURNS} loads of either kind"


def _load(
    hubspot: HubSpot, url: str, limited: bool, search: bool, settings: Mapping[str, Any] = MappingProxyType({})
) -> _Loaded:
    if not search:
        Searching.fits = lambda self: False  # type: ignore[method-assign]  # as where the properties are too many
    with a_team(hubspot, url, limited=limited, **settings) as team:
        done = team.sync()
        server = cpu(team.app.db).server
    created = done.run.counts["created"]
    return _Loaded(created / done.seconds, done.cpu / created * 1e6, server / created * 1e6, dict(done.run.calls))


def _profile(hubspot: HubSpot, url: str) -> str:
    with a_team(hubspot, url, limited=False) as team, Sampling() as sampling:
        team.sync()
    return sampling.told()
