"""Lists of contacts: search, filters, order, paging and totals."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.database import empty_url
from tests.support.people import ACME, NOON, OTHER, PORTAL, a_contact

from mercuri.core.contact import ContactId, Origin
from mercuri.errors import UserError
from mercuri.store import contacts, pages, schema, search
from mercuri.store.conditions import FieldTest, Span
from mercuri.store.contacts import Query
from mercuri.store.database import Database

CAST = (
    a_contact(first_name="Ana", last_name="Duarte", phone="+44 7911 123456", email="ana@example.org", subscribed=True),
    a_contact(first_name="Bo", last_name="Lind", email="bo.lind@example.org", at=NOON + timedelta(hours=1)),
    a_contact(first_name="José", last_name="Strauß", phone="(415) 555-2671", at=NOON + timedelta(hours=2)),
    a_contact(email="zoe@example.org", at=NOON + timedelta(hours=3)),
)


@pytest.fixture(params=["indexed", "bulk"])
def cast(request: pytest.FixtureRequest, database: Database) -> Database:
    """A database with the cast, the second time as a bulk load that has not come to its end."""
    with database.write(ACME) as tx:
        contacts.insert_many(tx, CAST, bulk=request.param == "bulk")
    with database.write(OTHER) as tx:
        contacts.insert_many(tx, [a_contact(first_name="Cleo", last_name="Duarte", email="cleo@example.org")])
    return database


def _names(database: Database, query: Query) -> list[str]:
    with database.read(ACME) as tx:
        found = contacts.page(tx, query)
    assert found.total == len(found.items)
    assert found.total_is_exact
    return [contact.name or contact.fields["email"] for contact in found.items]


ANA, BO, JOSE, ZOE = "Ana Duarte", "Bo Lind", "José Strauß", "zoe@example.org"


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("", [ANA, BO, JOSE, ZOE]),
        ("duar", [ANA]),
        ("UART", [ANA]),  # three characters and more: anywhere
        ("d", [ANA]),  # one or two: at the start of a word
        ("li", [BO]),
        ("rt", []),
        ("jose strauss", [JOSE]),
        ("strauß jo", [JOSE]),
        ("bo.lind@", [BO]),
        ("example", [ANA, BO, ZOE]),
        ("+44 7911", [ANA]),
        ("0044 7911 12", [ANA]),
        ("555-26", [JOSE]),
        ("ana lind", []),
        ("%", []),
        ("_na", []),
        ('"', []),
        ("a\\", []),
        ("nobody", []),
    ],
)
def test_a_search_finds_names_addresses_and_digits(cast: Database, q: str, expected: list[str]) -> None:
    assert _names(cast, Query(q=q)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(status="subscribed"), [ANA]),
        (Query(status="not_subscribed"), [BO, JOSE, ZOE]),
        (Query(has_phone=True), [ANA, JOSE]),
        (Query(has_phone=False), [BO, ZOE]),
        (Query(has_email=False), [JOSE]),
        (Query(has_email=True, has_phone=True), [ANA]),
        (Query(q="example", has_phone=False, sort="-created"), [ZOE, BO]),
        (Query(sort="-name"), [ZOE, JOSE, BO, ANA]),
        (Query(sort="updated"), [ANA, BO, JOSE, ZOE]),
        (Query(sort="-updated"), [ZOE, JOSE, BO, ANA]),
        (Query(sort="-email"), [ZOE, BO, ANA, JOSE]),
    ],
)
def test_filters_and_orders_go_together(cast: Database, query: Query, expected: list[str]) -> None:
    assert _names(cast, query) == expected


def test_deleted_and_absorbed_contacts_are_in_no_list(cast: Database) -> None:
    with cast.write(ACME) as tx:
        ana, bo = (contact.id for contact in contacts.page(tx, Query(limit=2)).items)
        contacts.mark_deleted(tx, ana, NOON)
        contacts.mark_merged(tx, bo, ana, NOON)

    assert _names(cast, Query()) == [JOSE, ZOE]
    assert _names(cast, Query(q="example")) == [ZOE]


def _link(database: Database, id_: ContactId, record: str, state: str = "live", excluded: str = "") -> None:
    row = {
        "portal_id": PORTAL,
        "record_id": record,
        "contact_id": id_,
        "state": state,
        "excluded": excluded,
        "seen_at": 0,
    }
    with database.write(ACME) as tx:
        tx.execute(schema.link.insert().values(workspace_id=tx.workspace, **row))


def _fail(database: Database, id_: ContactId, record: str) -> None:
    row = {"portal_id": PORTAL, "key": f"record:{record}", "contact_id": id_, "record_id": record, "at": 0}
    with database.write(ACME) as tx:
        values = {"class": "data", "message": "Refused.", "fix": "Mend it."}
        tx.execute(schema.failure.insert().values(workspace_id=tx.workspace, **row, **values))


def test_the_state_of_a_contacts_records_is_shown_and_found(cast: Database) -> None:
    with cast.read(ACME) as tx:
        ana, bo, jose, zoe = (contact.id for contact in contacts.page(tx, Query()).items)
    _link(cast, ana, "1")
    _link(cast, bo, "2", excluded="not in the list")
    _link(cast, jose, "3")
    _fail(cast, jose, "3")
    _link(cast, zoe, "4", state="blocked")
    _link(cast, ana, "5", state="asleep")

    with cast.read(ACME) as tx:
        states = [[link.state for link in contact.hubspot] for contact in contacts.page(tx, Query()).items]
    assert states == [["in_sync", "asleep"], ["excluded"], ["failing"], ["failing"]]
    assert _names(cast, Query(health="in_sync")) == [ANA]
    assert _names(cast, Query(health="excluded")) == [BO]
    assert _names(cast, Query(health="failing")) == [JOSE, ZOE]
    assert _names(cast, Query(portal=PORTAL)) == [ANA, BO, JOSE, ZOE]


def test_duplicates_are_found_and_shown_with_their_group(cast: Database) -> None:
    with cast.write(ACME) as tx:
        ana, _, jose, _ = (contact.id for contact in contacts.page(tx, Query()).items)
        rows = [(ACME, ana, ana), (ACME, jose, ana)]
        tx.insert_many(schema.dup_member, ("workspace_id", "contact_id", "grp"), rows)

    assert _names(cast, Query(duplicate=True)) == [ANA, JOSE]
    assert _names(cast, Query(duplicate=False)) == [BO, ZOE]
    with cast.read(ACME) as tx:
        assert contacts.get(tx, jose).duplicate_group == ana


def test_consent_is_shown_for_the_addresses_of_a_contact(cast: Database) -> None:
    with cast.write(ACME) as tx:
        columns = ("workspace_id", "channel", "address", "registers", "state", "reason", "paused", "updated_at")
        rows = [
            (ACME, "sms", "+447911123456", "{}", "unsubscribed", "STOP", False, 0),
            (ACME, "sms", "ana@example.org", "{}", "subscribed", "no phone", False, 0),
            (OTHER, "email", "ana@example.org", "{}", "subscribed", "another team's", False, 0),
        ]
        tx.insert_many(schema.consent_state, columns, rows)

        (ana,) = contacts.page(tx, Query(q="ana")).items

    assert [(c.channel, c.address, c.state) for c in ana.consent] == [("sms", "+447911123456", "unsubscribed")]


@pytest.fixture
def crowd(database: Database) -> Database:
    """250 people, many with the same name, every fifth subscribed."""
    with database.write(ACME) as tx:
        new = [
            a_contact(
                first_name=f"P{n % 7}", last_name="Same", email=f"p{n}@example.org", at=NOON + timedelta(days=n % 5)
            )
            for n in range(250)
        ]
        contacts.insert_many(tx, [replace(c, subscribed=n % 5 == 0) for n, c in enumerate(new)])
    return database


def _all_pages(database: Database, query: Query) -> list[ContactId]:
    found: list[ContactId] = []
    with database.read(ACME) as tx:
        while True:
            page = contacts.page(tx, query)
            found += [contact.id for contact in page.items]
            if page.next_cursor is None:
                return found
            query = replace(query, cursor=page.next_cursor)


ORDERS = ("name", "-name", "email", "-email", "updated", "-updated", "created", "-created")


@pytest.mark.parametrize("filters", [Query(), Query(status="subscribed"), Query(q="same", has_phone=False)])
@pytest.mark.parametrize("is_large", [False, True])
def test_pages_give_every_contact_once_and_in_order(
    crowd: Database, monkeypatch: pytest.MonkeyPatch, filters: Query, is_large: bool
) -> None:
    if is_large:  # as if every set were too large to be judged whole
        monkeypatch.setattr(pages, "SMALL", 5)
        monkeypatch.setattr(pages, "PATIENCE", 20)
    for order in ORDERS:
        whole = _all_pages(crowd, replace(filters, sort=order, limit=1000))

        found = _all_pages(crowd, replace(filters, sort=order, limit=37))

        assert found == whole
        assert len(set(found)) == len(found) == (50 if filters.status else 250)


@pytest.mark.parametrize(("order", "value"), [("name", "name_key"), ("email", "email_key"), ("updated", "updated_at")])
def test_an_order_is_the_order_of_its_values(crowd: Database, order: str, value: str) -> None:
    with crowd.read(ACME) as tx:
        stored = dict(tx.execute(f"SELECT id, {value} FROM contact").all())

    upwards = [(stored[id_], id_) for id_ in _all_pages(crowd, Query(sort=order))]
    downwards = [(stored[id_], id_) for id_ in _all_pages(crowd, Query(sort="-" + order))]

    assert upwards == sorted(upwards)
    assert downwards == upwards[::-1]


def test_a_total_beyond_what_is_cheap_is_a_lower_bound(crowd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SMALL", 100)

    with crowd.read(ACME) as tx:
        page = contacts.page(tx, Query(q="same", limit=10))

    assert (page.total, page.total_is_exact) == (100, False)


def test_all_contacts_are_counted_exactly_while_that_is_cheap(crowd: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with crowd.read(ACME) as tx:
        page = contacts.page(tx, Query(limit=10))
        monkeypatch.setattr(pages, "COUNTED", 99)
        monkeypatch.setattr(pages, "COUNTED_ON_POSTGRESQL", 99)
        bounded = contacts.page(tx, Query(limit=10))

    assert (page.total, page.total_is_exact) == (250, True)
    assert (bounded.total, bounded.total_is_exact) == (99, False)


@pytest.mark.parametrize(
    "query",
    [
        Query(sort="height"),
        Query(status="maybe"),
        Query(health="well"),
        Query(cursor="nonsense"),
        Query(cursor="W10"),
        Query(cursor="WyItbmFtZSIsMSwyXQ"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(database: Database, query: Query) -> None:
    with database.read(ACME) as tx, pytest.raises(UserError):
        contacts.page(tx, query)


def test_a_change_is_found_under_the_new_name_only(cast: Database) -> None:
    with cast.write(ACME) as tx:
        (ana,) = contacts.page(tx, Query(q="duarte")).items
        search.index_missing(tx)
        contacts.change_fields(tx, ana.id, {"last_name": "Marsh"}, ana.origins["last_name"], ana.addresses)

    assert _names(cast, Query(q="duarte")) == []
    assert _names(cast, Query(q="marsh")) == ["Ana Marsh"]


def test_the_end_of_a_load_indexes_each_contact_once(cast: Database) -> None:
    with cast.write(ACME) as tx:
        search.index_missing(tx)
        search.index_missing(tx)

        assert [c.name for c in contacts.page(tx, Query(q="duarte")).items] == [ANA]


def test_a_search_works_without_the_extension_of_postgresql(tmp_path: Path) -> None:
    with empty_url("postgresql", tmp_path) as url, contextlib.closing(Database.open(url)) as database:
        with database.write(ACME) as tx:
            tx.execute("DROP EXTENSION pg_trgm CASCADE")
            contacts.insert_many(tx, CAST)

        assert _names(database, Query(q="uart")) == [ANA]
        assert database.problems() == [
            "The extension pg_trgm is missing: searches read every contact. Ask for CREATE EXTENSION pg_trgm."
        ]


def test_the_index_of_sqlite_holds_exactly_what_the_contacts_hold(sqlite_database: Database) -> None:
    with sqlite_database.write(ACME) as tx:
        ana, bo, *_ = contacts.insert_many(tx, CAST)
        contacts.insert_many(tx, CAST, bulk=True)
        contacts.change_fields(tx, ana, {"last_name": "Marsh"}, CAST[0].origin, CAST[0].addresses)
        contacts.erase(tx, bo)

        search.index_missing(tx)
        late = contacts.insert_many(tx, CAST)
        contacts.erase(tx, late[-1])

        tx.execute("INSERT INTO contact_fts (contact_fts, rank) VALUES ('integrity-check', 1)")
        assert tx.execute("SELECT count(*) FROM contact_fts_docsize").scalar() == 10


def test_a_load_leaves_the_index_of_sqlite_in_one_part(sqlite_database: Database) -> None:
    with sqlite_database.write(ACME) as tx:
        for _ in range(3):
            contacts.insert_many(tx, CAST)
        search.index_missing(tx)

        assert tx.execute("SELECT count(DISTINCT segid) FROM contact_fts_idx").scalar() == 1


HOMES = (
    a_contact(first_name="Ana", custom_city="Paris", custom_note="50 % of Lyon"),
    a_contact(first_name="Bo", at=NOON + timedelta(hours=1), custom_city="LYON"),
    a_contact(
        first_name="Cleo", at=NOON + timedelta(hours=2), **{"custom.note": 'says "Lyon" \\ é', "custom.city": ""}
    ),
    a_contact(first_name="Dan", at=NOON + timedelta(hours=3)),
)


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ([FieldTest("city", "is", "lyon")], ["Bo"]),
        ([FieldTest("city", "is", "lyo")], []),
        ([FieldTest("city", "contains", "Yo")], ["Bo"]),
        ([FieldTest("city", "filled")], ["Ana", "Bo"]),
        ([FieldTest("city", "empty")], ["Cleo", "Dan"]),
        ([FieldTest("note", "contains", "lyon")], ["Ana", "Cleo"]),
        ([FieldTest("note", "contains", "50 %")], ["Ana"]),
        ([FieldTest("note", "contains", "_")], []),
        ([FieldTest("note", "is", 'says "Lyon" \\ é')], ["Cleo"]),
        ([FieldTest("note", "filled"), FieldTest("city", "empty")], ["Cleo"]),
        ([FieldTest("shoe_size", "filled")], []),
    ],
)
@pytest.mark.parametrize("small", [10_000, 0], ids=["few", "many"])
def test_contacts_are_filtered_by_a_custom_field(
    database: Database, monkeypatch: pytest.MonkeyPatch, small: int, tests: list[FieldTest], expected: list[str]
) -> None:
    monkeypatch.setattr(pages, "SMALL", small)
    with database.write(ACME) as tx:
        contacts.insert_many(tx, HOMES)
    with database.write(OTHER) as tx:
        contacts.insert_many(tx, HOMES)

    assert _names(database, Query(fields=tuple(tests))) == expected


@pytest.mark.parametrize("small", [10_000, 0], ids=["few", "many"])
def test_contacts_are_filtered_by_when_they_came_and_when_they_changed(
    database: Database, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(pages, "SMALL", small)
    with database.write(ACME) as tx:
        ana, *_ = contacts.insert_many(tx, HOMES)
        origin = Origin("user", "bo@example.org", NOON + timedelta(days=1))
        contacts.change_fields(tx, ana, {"custom.city": "Nice"}, origin, [])

    since, until = NOON + timedelta(hours=1), NOON + timedelta(hours=3)
    assert _names(database, Query(created=Span(since, until))) == ["Bo", "Cleo"]
    assert _names(database, Query(created=Span(end=since))) == ["Ana"]
    assert _names(database, Query(updated=Span(since))) == ["Ana", "Bo", "Cleo", "Dan"]
    assert _names(database, Query(updated=Span(until), fields=(FieldTest("city", "filled"),), q="an")) == ["Ana"]
