"""Contacts in the store: what goes in comes out, changes are compared and set, workspaces never mix."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.people import ACME, BY_HUBSPOT, BY_USER, NOON, OTHER, a_contact

from mercuri.core.contact import Contact, ContactId, Origin, RunId
from mercuri.core.normalise import addresses_of
from mercuri.errors import Clash, NotFound
from mercuri.store import contacts, schema
from mercuri.store.database import Database, Tx


def _insert(database: Database, *new: contacts.NewContact) -> list[ContactId]:
    with database.write(ACME) as tx:
        return contacts.insert_many(tx, list(new))


def _change(tx: Tx, id_: ContactId, **changes: str) -> contacts.Held:
    fields = {**contacts.held(tx, [id_])[id_].fields, **changes}
    return contacts.change_fields(tx, id_, changes, BY_USER, addresses_of(fields, "US"))[0]


def test_a_contact_comes_out_as_it_went_in(database: Database) -> None:
    new = a_contact(
        first_name="Ana", last_name="", phone="+44 7911 123456", email="Ana@Example.org", custom_city="Łódź"
    )

    (id_,) = _insert(database, new)

    with database.read(ACME) as tx:
        ana = contacts.get(tx, id_)
    assert dict(ana.fields) == dict(new.fields)
    assert ana.addresses == tuple(new.addresses)
    assert (ana.created_at, ana.updated_at, ana.version) == (NOON, NOON, 1)
    assert (ana.subscription_status, ana.consent, ana.hubspot, ana.duplicate_group) == ("not_subscribed", (), (), None)


def test_ids_come_in_the_order_of_the_contacts(database: Database) -> None:
    ids = _insert(database, *(a_contact(first_name=f"Ana {n}") for n in range(300)))

    with database.read(ACME) as tx:
        assert [c.fields["first_name"] for c in contacts.many(tx, ids)] == [f"Ana {n}" for n in range(300)]
    assert ids == sorted(set(ids))


def test_a_bulk_load_and_single_inserts_never_give_an_id_twice(database: Database) -> None:
    with database.write(ACME) as tx:
        first = contacts.insert_many(tx, [a_contact()] * 3, bulk=True)
    second = _insert(database, a_contact(), a_contact())
    with database.write(ACME) as tx:
        contacts.erase(tx, second[-1])

    third = _insert(database, a_contact())

    assert len({*first, *second, *third}) == 6


def test_every_value_keeps_its_origin(database: Database) -> None:
    of_a_run = replace(BY_HUBSPOT, run=RunId(7))

    known, unknown = _insert(database, a_contact(origin=of_a_run), replace(a_contact(), origin=None))

    with database.read(ACME) as tx:
        found = contacts.held(tx, [known, unknown])
    assert found[known].origins == dict.fromkeys(a_contact().fields, of_a_run)
    assert found[unknown].origins == {}


def test_a_changed_value_has_its_own_origin_and_the_others_keep_theirs(database: Database) -> None:
    (id_,) = _insert(database, a_contact())
    later = Origin("user", "bo@example.org", NOON + timedelta(hours=1))

    with database.write(ACME) as tx:
        now, taken = contacts.change_fields(tx, id_, {"first_name": "Anna"}, later, a_contact().addresses)

    assert (now.fields["first_name"], set(taken)) == ("Anna", {"first_name"})
    assert now.origins == {**dict.fromkeys(a_contact().fields, BY_HUBSPOT), "first_name": later}
    assert now.version == 2
    with database.read(ACME) as tx:
        assert contacts.get(tx, id_).updated_at == later.at


def test_a_cleared_phone_takes_its_address_along(database: Database) -> None:
    (id_,) = _insert(database, a_contact())

    with database.write(ACME) as tx:
        now = _change(tx, id_, phone="")

    assert now.fields["phone"] == ""
    assert now.origins["phone"] == BY_USER
    with database.read(ACME) as tx:
        assert [a.kind for a in contacts.get(tx, id_).addresses] == ["email"]
        assert contacts.holders(tx, "phone", ["+447911123456"]) == {}


def test_a_change_to_what_is_there_already_changes_nothing(database: Database) -> None:
    (id_,) = _insert(database, a_contact())

    with database.write(ACME) as tx:
        now = _change(tx, id_, first_name="Ana")

    assert (now.version, now.origins["first_name"]) == (1, BY_HUBSPOT)


def test_a_value_that_is_not_as_expected_stays_with_its_addresses(database: Database) -> None:
    (id_,) = _insert(database, a_contact())
    with database.write(ACME) as tx:
        _change(tx, id_, phone="+447911123457")

    wanted = {"phone": "+447911000000", "first_name": "Anna"}
    with database.write(ACME) as tx:
        now, taken = contacts.change_fields(
            tx,
            id_,
            wanted,
            BY_HUBSPOT,
            addresses_of({**a_contact().fields, **wanted}, "US"),
            expect={"phone": "+447911123456", "first_name": "Ana"},
        )

    assert (now.fields["phone"], now.fields["first_name"]) == ("+447911123457", "Anna")
    assert set(taken) == {"first_name"}
    with database.read(ACME) as tx:
        assert set(contacts.holders(tx, "phone", ["+447911123457", "+447911000000"])) == {"+447911123457"}


def test_an_old_version_is_refused_with_the_present_contact(database: Database) -> None:
    (id_,) = _insert(database, a_contact())
    with database.write(ACME) as tx:
        _change(tx, id_, first_name="Anna")

    with pytest.raises(Clash) as refused, database.write(ACME) as tx:
        contacts.change_fields(tx, id_, {"first_name": "Anita"}, BY_USER, a_contact().addresses, version=1)

    assert isinstance(refused.value.present, Contact)
    assert refused.value.present.fields["first_name"] == "Anna"


def test_a_workspace_never_sees_or_touches_another_ones_contacts(database: Database) -> None:
    (cleo,) = _insert(database, a_contact())

    with database.write(OTHER) as tx:
        assert contacts.held(tx, [cleo]) == {}
        assert contacts.many(tx, [cleo]) == []
        assert contacts.holders(tx, "email", ["ana@example.org"]) == {}
        assert list(contacts.each(tx)) == []
        assert contacts.survivor_of(tx, cleo) is None
        with pytest.raises(NotFound):
            contacts.get(tx, cleo)
        with pytest.raises(NotFound):
            contacts.change_fields(tx, cleo, {"first_name": "Eve"}, BY_USER, [])
        with pytest.raises(NotFound):
            contacts.mark_deleted(tx, cleo, NOON)
        contacts.erase(tx, cleo)
    with database.read(ACME) as tx:
        kept = contacts.get(tx, cleo)
    assert (kept.fields["first_name"], kept.subscription_status) == ("Ana", "not_subscribed")


def test_the_holders_of_an_address_are_live_contacts(database: Database) -> None:
    one, gone, absorbed = _insert(database, a_contact(), a_contact(), a_contact())
    with database.write(ACME) as tx:
        contacts.mark_deleted(tx, gone, NOON)
        contacts.mark_merged(tx, absorbed, one, NOON)

    with database.read(ACME) as tx:
        assert contacts.holders(tx, "email", ["ana@example.org", "no@example.org"]) == {"ana@example.org": [one]}
        assert [c.id for batch in contacts.each(tx, batch=1) for c in batch] == [one]


def test_a_deleted_contact_can_be_looked_at_and_restored(database: Database) -> None:
    (id_,) = _insert(database, a_contact())
    with database.write(ACME) as tx:
        contacts.mark_deleted(tx, id_, NOON)
        assert contacts.get(tx, id_).deleted_at == NOON

        contacts.mark_restored(tx, id_, NOON)

        assert contacts.get(tx, id_).deleted_at is None


def test_a_chain_of_merges_leads_to_the_last_survivor(database: Database) -> None:
    one, two, three = _insert(database, a_contact(), a_contact(), a_contact())
    with database.write(ACME) as tx:
        contacts.mark_merged(tx, one, two, NOON)
        contacts.mark_merged(tx, two, three, NOON)

        assert [contacts.survivor_of(tx, id_) for id_ in (one, two, three)] == [three, three, None]

        contacts.unmark_merged(tx, one, NOON)
        assert contacts.survivor_of(tx, one) is None


def test_an_erased_contact_leaves_no_trace_in_the_tables_of_contacts(database: Database) -> None:
    (id_,) = _insert(database, a_contact())

    with database.write(ACME) as tx:
        contacts.erase(tx, id_)

    with database.read(ACME) as tx:
        assert contacts.held(tx, [id_]) == {}
        assert tx.execute(schema.address.select()).all() == []
        assert contacts.page(tx, contacts.Query(q="duarte")).items == []


@pytest.mark.parametrize("field", ["first_name", "last_name", "phone", "email", "custom.note"])
def test_the_longest_value_of_hubspot_fits_everywhere(database: Database, field: str) -> None:
    longest = "Ж" * 65_536
    (id_,) = _insert(database, a_contact(**{field.replace(".", "_"): longest}))

    with database.write(ACME) as tx:
        now = _change(tx, id_, **{field: longest[1:] + "y"})

    assert now.fields[field] == longest[1:] + "y"


def test_what_a_database_cannot_store_is_left_out_of_a_value(database: Database) -> None:
    (id_,) = _insert(database, a_contact(first_name="A\0na", custom_note="\ud800x\0"))

    with database.write(ACME) as tx:
        now = _change(tx, id_, last_name="Du\0arte\udfff")

    assert (now.fields["first_name"], now.fields["last_name"], now.fields["custom.note"]) == ("Ana", "Duarte", "x")


def test_no_repr_shows_a_value(database: Database) -> None:
    new = a_contact()
    (id_,) = _insert(database, new)

    with database.read(ACME) as tx:
        held = contacts.held(tx, [id_])[id_]

    assert "Duarte" not in repr(new) + repr(held)


@pytest.mark.parametrize("typed", ["a\tb", "two\nlines\r\n", "\\N", "back\\slash\\", "Zoë\tN\\", "'\"", ""])
def test_a_text_is_stored_as_it_was_typed(database: Database, typed: str) -> None:
    ids = _insert(database, a_contact(), a_contact(last_name=typed), a_contact())

    with database.read(ACME) as tx:
        found = contacts.held(tx, ids)
    assert found[ids[1]].fields["last_name"] == typed
    assert found[ids[0]].fields == found[ids[2]].fields == a_contact().fields


def test_what_postgresql_cannot_store_is_left_out_of_a_text(postgresql_database: Database) -> None:
    columns = ("workspace_id", "actor", "action", "detail", "at")
    rows = [(ACME, "bo", "audit.tested", detail, 0) for detail in ("first", "Bo\0 \ud83dand Ané", "last")]

    with postgresql_database.write(ACME) as tx:
        tx.insert_many(schema.audit, columns, rows)
        stored = list(tx.execute("SELECT detail FROM audit ORDER BY id").scalars())

    assert stored == ["first", "Bo and Ané", "last"]


def test_a_list_reaches_postgresql_as_it_is(postgresql_database: Database) -> None:
    texts = ["", "NULL", "a,b", '"', "\\", '{"x"}', " led by a space", "Zoë\tN\n", "\\N", "'", "{}"]
    numbers = [-1, None, 2**40]

    with postgresql_database.write(ACME) as tx:
        got = list(
            tx.execute("SELECT unnest(CAST(:list AS text[]))", {"list": [*texts, "Bo\0 \ud83dand Ané"]}).scalars()
        )
        count = list(tx.execute("SELECT unnest(CAST(:list AS bigint[]))", {"list": numbers}).scalars())

    assert got == [*texts, "Bo and Ané"]
    assert count == numbers
