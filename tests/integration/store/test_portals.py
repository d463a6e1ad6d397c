"""Portals in the store: settings, tokens, one worker at a time, the schema of properties."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.people import ACME, NOON, OTHER, PORTAL, a_portal

from mercuri.core.properties import Option, Property
from mercuri.core.settings import ConsentItem, MappingItem, Policy, PortalSettings
from mercuri.errors import NotFound
from mercuri.store import portals
from mercuri.store.database import Database, Tx

SETTINGS = PortalSettings(
    two_way=True,
    mapping=(MappingItem("firstname", "first_name", policy=Policy.ASK, type="string"),),
    consent_mapping=(ConsentItem("sms", "enumeration", "sms_opt_in", {"Yes": "in", "No": "out"}),),
    schedule="every 15m",
)
CITY = Property("city", "City", "enumeration", options=(Option("lyon", "Lyon"), Option("łódź", "Łódź", hidden=True)))


def _connect(tx: Tx) -> None:
    portals.add(tx, replace(a_portal(), settings=SETTINGS, scopes=("oauth",), account={"tz": "UTC"}), b"sealed", NOON)


def test_a_portal_comes_out_as_it_went_in(database: Database) -> None:
    with database.write(ACME) as tx:
        _connect(tx)
        portals.save(tx, PORTAL, reading={"lane": [1]}, swept_at=NOON, next_at=NOON, problem="A scope is missing.")

        found = portals.get(tx, PORTAL)

    assert (found.settings, found.scopes, dict(found.account)) == (SETTINGS, ("oauth",), {"tz": "UTC"})
    assert (dict(found.reading), found.swept_at, found.next_at) == ({"lane": [1]}, NOON, NOON)
    assert (found.state, found.problem, found.watermark) == ("connected", "A scope is missing.", None)


def test_connecting_again_keeps_settings_and_watermark(database: Database) -> None:
    with database.write(ACME) as tx:
        _connect(tx)
        portals.set_watermark(tx, PORTAL, NOON)
        portals.set_state(tx, PORTAL, "disconnected")

        portals.add(tx, a_portal(name="Acme Ltd"), b"new", NOON + timedelta(days=1))

        again = portals.get(tx, PORTAL)
    assert (again.name, again.state, again.settings, again.watermark) == ("Acme Ltd", "connected", SETTINGS, NOON)


def test_a_disconnected_portal_has_no_tokens(database: Database) -> None:
    with database.write(ACME) as tx:
        _connect(tx)
        portals.save_tokens(tx, PORTAL, b"newer")
        kept = portals.load_tokens(tx, PORTAL)

        portals.set_state(tx, PORTAL, "disconnected")

        assert (kept, portals.load_tokens(tx, PORTAL)) == (b"newer", None)


def test_a_workspace_never_sees_or_changes_another_ones_portal(database: Database) -> None:
    with database.write(ACME) as tx:
        _connect(tx)
        portals.save_schema(tx, PORTAL, [CITY], NOON)

    with database.write(OTHER) as tx:
        assert portals.all(tx) == []
        assert portals.schema(tx, PORTAL) == ()
        assert portals.load_tokens(tx, PORTAL) is None
        assert portals.take_lease(tx, PORTAL, "w", NOON, NOON + timedelta(minutes=1)) is None
        with pytest.raises(NotFound):
            portals.get(tx, PORTAL)
        with pytest.raises(NotFound):
            portals.set_state(tx, PORTAL, "disconnected")
    with database.read(ACME) as tx:
        assert portals.get(tx, PORTAL).state == "connected"


def test_a_lease_is_held_by_one_worker_until_it_runs_out(database: Database) -> None:
    later = NOON + timedelta(minutes=5)
    with database.write(ACME) as tx:
        _connect(tx)
        first = portals.take_lease(tx, PORTAL, "one", NOON, later)
        refused = portals.take_lease(tx, PORTAL, "two", NOON, later)
        second = portals.take_lease(tx, PORTAL, "two", later, later + timedelta(minutes=5))

        assert refused is None
        assert first is not None
        assert second is not None
        assert second > first
        with pytest.raises(portals.LeaseLost):
            portals.check_fence(tx, PORTAL, first)
        with pytest.raises(portals.LeaseLost):
            portals.renew_lease(tx, PORTAL, first, later)
        portals.release_lease(tx, PORTAL, first)
        assert portals.lease_holder(tx, PORTAL, later) == "two"
        portals.check_fence(tx, PORTAL, second)


def test_a_lease_given_back_is_free_and_cannot_be_renewed(database: Database) -> None:
    later = NOON + timedelta(minutes=5)
    with database.write(ACME) as tx:
        _connect(tx)
        fence = portals.take_lease(tx, PORTAL, "one", NOON, later)
        assert fence is not None

        portals.release_lease(tx, PORTAL, fence)

        assert portals.lease_holder(tx, PORTAL, NOON) is None
        with pytest.raises(portals.LeaseLost):
            portals.renew_lease(tx, PORTAL, fence, later)
        assert portals.take_lease(tx, PORTAL, "two", NOON, later) is not None


def test_of_many_workers_one_gets_the_lease(database: Database) -> None:
    with database.write(ACME) as tx:
        _connect(tx)

    def take(number: int) -> int | None:
        with database.write(ACME) as tx:
            return portals.take_lease(tx, PORTAL, f"worker {number}", NOON, NOON + timedelta(minutes=1))

    with ThreadPoolExecutor(8) as threads:
        fences = list(threads.map(take, range(8)))

    assert len([fence for fence in fences if fence is not None]) == 1


def test_a_schema_names_what_vanished_once_and_forgets_nothing_else(database: Database) -> None:
    size = Property("shoe_size", "Shoe size", "number")
    with database.write(ACME) as tx:
        _connect(tx)
        assert portals.save_schema(tx, PORTAL, [size, CITY], NOON) == []

        vanished = [portals.save_schema(tx, PORTAL, [CITY], NOON + timedelta(days=n)) for n in (1, 2)]

        assert vanished == [["shoe_size"], []]
        assert portals.schema(tx, PORTAL) == (CITY,)
        assert portals.gone(tx, PORTAL) == {"shoe_size": NOON + timedelta(days=1)}
        portals.save_schema(tx, PORTAL, [CITY, size], NOON)
        assert (portals.schema(tx, PORTAL), portals.gone(tx, PORTAL)) == ((CITY, size), {})
