"""The first load: under HubSpot's limits, on the list alone and with search, and without limits on both databases."""

from __future__ import annotations

from collections.abc import Iterator

from bench import baselines
from bench.harness import BACKENDS, LIMITS, NO_LIMITS, Figure, HubSpot, a_hubspot, a_team, apart
from bench.store import a_database
from mercuri.hubspot.searching import Searching

_CEILING = 1100


def measure(contacts: int) -> Iterator[Figure]:
    """Under limits at most 60,000 contacts: a minute shows the rate."""
    limited = min(contacts, 60_000)
    with a_hubspot(limited, LIMITS) as hubspot:
        plain, client = baselines.serial(hubspot.url), baselines.official(hubspot.url)
        (rate, calls), _ = apart(_load, hubspot, "", True, False)
        part = f"{rate:,.0f} contacts/s, {rate / _CEILING:.0%}; {calls['throttled']} throttled"
        yield Figure("first load under limits, list alone", part, "≥ 95 % of 1,100/s; 0 throttled")
        (rate, calls), _ = apart(_load, hubspot, "", True, True)
        lanes = f"{calls['list']} list, {calls['search']} search"
        yield Figure("first load under limits", f"{rate:,.0f} contacts/s ({lanes})", "≥ 1,700/s")
        yield Figure("… against a plain serial reader", f"{rate / plain:.1f} × {plain:,.0f}/s", "≥ 3 ×")
        yield Figure("… against the official client", f"{rate / client:.1f} × {client:,.0f}/s", "≥ 3 ×")
    with a_hubspot(contacts, NO_LIMITS) as hubspot:
        client = baselines.official(hubspot.url, contacts // 100)
        for backend, reach in zip(BACKENDS, ("≥ 10,000/s; < 200 MB", "≥ 8,000/s"), strict=True):
            with a_database(backend) as url:
                (rate, _), peak = apart(_load, hubspot, url, False, True)
            told = f"{rate:,.0f} contacts/s, {peak} MB, {rate / client:.1f} × the official client's read"
            yield Figure(f"first load of {contacts:,} without limits, {backend}", told, reach)


def _load(hubspot: HubSpot, url: str, limited: bool, search: bool) -> tuple[float, dict[str, int]]:
    if not search:
        Searching.fits = lambda self: False  # type: ignore[method-assign]  # as where the properties are too many
    with a_team(hubspot, url, limited=limited) as team:
        done = team.sync()
        return done.run.counts["created"] / done.seconds, dict(done.run.calls)
