"""Databases that an earlier version made, and new ones: today's tables, whichever way a database came to them.

`version_0001` holds the tables as that version made them, one statement to a line.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.database import empty_url
from tests.support.people import ACME, NOON, OTHER, PORTAL

from mercuri.core.contact import PortalId, RecordId
from mercuri.core.match import KeyKind, MatchKey
from mercuri.errors import UserError
from mercuri.store import groups, hubspot_merges, match_keys, merges, portals, schema, views
from mercuri.store.database import ANY, HEAD, Database, Tx
from mercuri.store.hubspot_merges import HubSpotMerge
from mercuri.store.migrations import run as migrations
from mercuri.store.times import to_ms

_SECOND = PortalId("77")


@pytest.fixture
def new_url(backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    with empty_url(backend, tmp_path) as url:
        yield url


@pytest.fixture
def old_url(backend: str, new_url: str) -> str:
    """The URL of a database with the tables of version 0001: a portal, a member, and merges that a test adds."""
    text = Path(__file__).with_name("version_0001").joinpath(f"{backend}.sql").read_text()
    with contextlib.closing(Database.open(new_url, upgrade=False)) as database, database.write(ANY) as tx:
        for statement in text.splitlines():
            tx.conn.exec_driver_sql(statement)
        tx.execute("INSERT INTO membership (workspace_id, user_id, role) VALUES (1, 5, 'owner')")
        tx.execute(
            "INSERT INTO portal (workspace_id, portal_id, name, kind, state, created_at)"
            " VALUES (1, '4242', 'Acme', 'static', 'connected', 0)"
        )
    return new_url


def _add_merge(tx: Tx, state: str, wanted: list[dict[str, Any]] | None, **more: object) -> int:
    """Write a merge of contacts 8 and 9 into 7 down, as version 0001 did; without `wanted` its people are erased."""
    links = [[PORTAL, "51", 7, "live", "", None], [PORTAL, "52", 8, "live", "", None]]
    values: dict[str, object] = {
        "workspace_id": ACME,
        "survivor_id": 7,
        "absorbed": "[8, 9]",
        "journal": "{}" if wanted is None else json.dumps({"links": links, "hubspot": wanted}),
        "actor": "bo@example.org",
        "at": to_ms(NOON),
        "hubspot_state": state,
        **more,
    }
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    return int(tx.execute(f"INSERT INTO merge ({names}) VALUES ({marks}) RETURNING id", values).scalar_one())


def _wanted(*others: str, portal: PortalId = PORTAL, primary: str = "51") -> dict[str, Any]:
    return {"portal": portal, "primary": primary, "others": list(others)}


def _carried_over(url: str, state: str, wanted: list[dict[str, Any]] | None, **more: object) -> list[HubSpotMerge]:
    """What an upgrade makes of one merge."""
    with contextlib.closing(Database.open(url, upgrade=False)) as old, old.write(ANY) as tx:
        merge = _add_merge(tx, state, wanted, **more)
    with (
        contextlib.closing(Database.open(url)) as now,
        now.read(ACME) as tx,
    ):
        return list(merges.get(tx, merge).hubspot)


def _shape(tx: Tx) -> set[str]:
    """Everything that a database says about its tables, columns, indexes and triggers, in no order."""
    if tx.is_sqlite:
        made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name <> 'alembic_version'"
        return {part for sql in tx.execute(made).scalars() for part in _parts(sql)}
    columns = "table_name, column_name, data_type, is_nullable, column_default, collation_name"
    ours = "table_schema = 'public' AND table_name <> 'alembic_version'"
    queries = (
        f"SELECT concat_ws(' ', {columns}) FROM information_schema.columns WHERE {ours}",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
        "SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'",
    )
    return {line for query in queries for line in tx.execute(query).scalars()}


def _parts(sql: str) -> Iterator[str]:
    """A statement of SQLite; a table's column by column, since an added one stands behind the others."""
    flat = re.sub(r"\s*([()])\s*", r" \1 ", " ".join(sql.split()))
    head, is_table, body = flat.partition(" ( ")
    if not is_table or not head.startswith("CREATE TABLE"):
        yield flat
        return
    for part in re.split(r",(?![^(]*\))", body.removesuffix(" ) ")):
        yield f"{head}: {part.strip()}"


def _todays_shape(backend: str, directory: Path) -> set[str]:
    with (
        empty_url(backend, directory) as url,
        contextlib.closing(Database.open(url, upgrade=False)) as fresh,
        fresh.write(ANY) as tx,
    ):
        schema.metadata.create_all(tx.conn)
        return _shape(tx)


# --- new databases ------------------------------------------------------------------------------------------------


def test_the_program_knows_the_newest_migration() -> None:
    assert migrations.head() == HEAD


def test_a_new_database_has_todays_tables(backend: str, new_url: str, tmp_path: Path) -> None:
    with contextlib.closing(Database.open(new_url)) as migrated, migrated.read(ANY) as tx:
        shape = _shape(tx)

    assert shape == _todays_shape(backend, tmp_path)


def test_several_processes_may_bring_a_new_database_up_to_date_at_once(new_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: Database.open(new_url), range(4)))

    for database in opened:
        assert database.problems() == []
        database.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(new_url: str) -> None:
    with contextlib.closing(Database.open(new_url)) as database, database.write(ANY) as tx:
        tx.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UserError, match="a newer version of Mercuri"):
        Database.open(new_url)

    with contextlib.closing(Database.open(new_url, upgrade=False)) as database:
        assert "The tables are at version 9999" in database.problems()[0]


def test_a_database_without_tables_has_a_problem(new_url: str) -> None:
    with contextlib.closing(Database.open(new_url, upgrade=False)) as database:
        assert "mercuri db upgrade" in database.problems()[0]


# --- older databases ----------------------------------------------------------------------------------------------


def test_an_older_database_gets_todays_tables(backend: str, old_url: str, tmp_path: Path) -> None:
    with contextlib.closing(Database.open(old_url)) as upgraded, upgraded.read(ANY) as tx:
        assert upgraded.problems() == []
        assert _shape(tx) == _todays_shape(backend, tmp_path)


def test_an_older_database_keeps_its_members_and_portals(old_url: str) -> None:
    with contextlib.closing(Database.open(old_url)) as upgraded, upgraded.write(ACME) as tx:
        portal = portals.get(tx, PORTAL)
        view = views.save(tx, 5, "Lyon", "city=Lyon", shared=False)
        views.set_first(tx, 5, view.id)

        assert (portal.name, portal.journal) == ("Acme", {})
        assert views.first(tx, 5) == view


def test_a_merge_that_is_held_stays_held_in_each_portal(old_url: str) -> None:
    both = [_wanted("52", "53"), _wanted("901", portal=_SECOND, primary="900")]

    assert _carried_over(old_url, "held", both, hubspot_until=to_ms(NOON), portal_id=PORTAL) == [
        HubSpotMerge(PORTAL, RecordId("51"), (RecordId("52"), RecordId("53")), "held", NOON),
        HubSpotMerge(_SECOND, RecordId("900"), (RecordId("901"),), "held", NOON),
    ]


def test_a_merge_that_was_done_in_the_first_portal_only_is_due_in_the_second_alone(old_url: str) -> None:
    both = [_wanted(), _wanted("901", portal=_SECOND, primary="900")]
    _carried_over(old_url, "held", both, hubspot_until=to_ms(NOON), portal_id=PORTAL)

    with contextlib.closing(Database.open(old_url)) as upgraded, upgraded.read(ACME) as tx:
        assert [portal for _, portal in hubspot_merges.due(tx, NOON)] == [_SECOND]


@pytest.mark.parametrize(
    ("state", "note"), [("failed", "Not merged in HubSpot: it said no."), ("none", "Two-way sync is off.")]
)
def test_a_merge_that_was_not_made_in_hubspot_still_tells_why(old_url: str, state: str, note: str) -> None:
    assert _carried_over(old_url, state, [_wanted("52")], hubspot_note=note, portal_id=PORTAL) == [
        HubSpotMerge(PORTAL, RecordId("51"), (RecordId("52"),), state, note=note)
    ]


def test_a_merge_that_was_made_in_hubspot_is_told_as_made(old_url: str) -> None:
    assert _carried_over(old_url, "done", [_wanted()], portal_id=PORTAL) == [
        HubSpotMerge(PORTAL, RecordId("51"), (), "done")
    ]


def test_a_merge_that_somebody_made_in_hubspot_tells_where_and_what_was_left_apart(old_url: str) -> None:
    elsewhere = [_wanted("901", portal=_SECOND, primary="900")]
    note = "The merge was made in HubSpot."

    assert _carried_over(old_url, "done", elsewhere, hubspot_note=note, actor=f"HubSpot {PORTAL}") == [
        HubSpotMerge(PORTAL, RecordId("51"), (), "done", note=note),
        HubSpotMerge(_SECOND, RecordId("900"), (RecordId("901"),), "none", note="HubSpot keeps its records apart."),
    ]


def test_a_merge_that_somebody_made_in_hubspot_is_told_as_made_where_a_further_record_was_left(old_url: str) -> None:
    [part] = _carried_over(old_url, "done", [_wanted("53")], actor=f"HubSpot {PORTAL}")

    assert part == HubSpotMerge(PORTAL, RecordId("51"), (RecordId("53"),), "done")


def test_a_merge_that_was_taken_back_never_happens_in_hubspot(old_url: str) -> None:
    late = {"hubspot_until": to_ms(NOON), "portal_id": PORTAL, "undone_at": to_ms(NOON)}

    [part] = _carried_over(old_url, "held", [_wanted("52")], **late)

    assert (part.state, part.until) == ("cancelled", None)


def test_of_erased_people_nothing_is_carried_over(old_url: str) -> None:
    assert _carried_over(old_url, "none", None, hubspot_note="The merge was made in HubSpot.") == []


def test_every_merge_is_carried_over_however_many_there_are(old_url: str) -> None:
    with contextlib.closing(Database.open(old_url, upgrade=False)) as old, old.write(ANY) as tx:
        made = [_add_merge(tx, "held", [_wanted("52")], hubspot_until=to_ms(NOON)) for _ in range(1_100)]
        others = _add_merge(tx, "held", [_wanted("52")], hubspot_until=to_ms(NOON), workspace_id=OTHER)

    with contextlib.closing(Database.open(old_url)) as now:
        with now.read(ACME) as tx:
            assert list(hubspot_merges.of_merges(tx, [*made, others])) == made
        with now.read(OTHER) as tx:
            assert list(hubspot_merges.of_merges(tx, [*made, others])) == [others]


def test_groups_that_were_to_be_looked_at_still_are(old_url: str) -> None:
    with contextlib.closing(Database.open(old_url, upgrade=False)) as old, old.write(ANY) as tx:
        tx.execute("INSERT INTO workspace (id, name, created_at) VALUES (:ws, 'Acme', 0)", {"ws": ACME})
        for contact, keys in (7, [[KeyKind.EMAIL, "ana@example.org"]]), (8, []):
            noted = {"ws": ACME, "contact": contact, "keys": json.dumps(keys)}
            tx.execute("INSERT INTO dirty_contact VALUES (:ws, :contact, :keys)", noted)

    with contextlib.closing(Database.open(old_url)) as now, now.write(ACME) as tx:
        match_keys.add(tx, {c: [MatchKey(KeyKind.EMAIL, "ana@example.org")] for c in (6, 7)})
        if not tx.is_sqlite:  # where nothing waits
            assert groups.drain(tx, NOON) == 2
            assert groups.stored(tx) == {6: ((6, 7), 2)}


def test_several_processes_may_bring_an_older_database_up_to_date_at_once(old_url: str) -> None:
    with contextlib.closing(Database.open(old_url, upgrade=False)) as old, old.write(ANY) as tx:
        _add_merge(tx, "held", [_wanted("52")], hubspot_until=to_ms(NOON))

    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: Database.open(old_url), range(4)))

    for database in opened:
        assert database.problems() == []
        database.close()


def test_an_upgrade_that_is_cut_short_leaves_the_older_database_as_it_was(old_url: str) -> None:
    with contextlib.closing(Database.open(old_url, upgrade=False)) as old, old.write(ANY) as tx:
        merge = _add_merge(tx, "held", [_wanted("52")], hubspot_until=to_ms(NOON))
        tx.execute("UPDATE merge SET journal = 'broken' WHERE id = :id", {"id": merge})
        before = _shape(tx)

    with pytest.raises(json.JSONDecodeError):
        Database.open(old_url)

    with contextlib.closing(Database.open(old_url, upgrade=False)) as old, old.read(ANY) as tx:
        assert _shape(tx) == before

        assert "The tables are at version 0001" in old.problems()[0]
