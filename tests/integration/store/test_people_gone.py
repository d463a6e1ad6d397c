"""Erasing people and what they leave behind, on both databases; their custom fields, and the export of all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.world import OWNER, World, a_world

from mercuri.engine import edit
from mercuri.errors import NotFound
from mercuri.store import custom_fields, suppression
from mercuri.store.database import Database
from mercuri.store.pages import Query


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    """A workspace on each kind of database, with a portal."""
    with a_world(database) as made:
        made.connect()
        yield made


def test_custom_fields_are_named_once_and_sorted(world: World) -> None:
    world.create(first_name="Ana", **{"custom.city": "Lyon", "custom.age": "41"})
    world.create(first_name="Bo", **{"custom.city": "Oslo"})

    with world.app.db.read(world.ws) as tx:
        assert custom_fields.names(tx) == ["age", "city"]


def test_hashes_are_known_by_kind_and_workspace(world: World) -> None:
    with world.app.db.write(world.ws) as tx:
        suppression.add(tx, ["a", "b", "a"], suppression.ERASED, world.clock.now())
        suppression.add(tx, ["a"], suppression.ERASED, world.clock.now())

        assert suppression.known(tx, ["a", "b", "c"], suppression.ERASED) == {"a", "b"}
        assert suppression.known(tx, ["a"], suppression.CLOSED) == set()
        assert suppression.has_any(tx, suppression.ERASED)
        assert not suppression.has_any(tx, suppression.CLOSED)


def test_a_person_is_erased_with_their_merges_and_links(world: World) -> None:
    record = world.sandbox.create({"email": "ana@example.org", "firstname": "Ana"})
    world.sync()
    ana = world.of_record(record).id
    world.edit(ana, first_name="Anna")

    edit.erase_contact(world.app, world.ws, ana, OWNER)

    assert world.contacts() == {}
    with pytest.raises(NotFound):
        edit.erase_contact(world.app, world.ws, ana, OWNER)
    world.sync(full=True)
    assert world.contacts() == {}
    assert world.sandbox.contact(record) is None


def test_an_import_and_an_export_work_alike(world: World) -> None:
    file = ["email,first_name,custom.city\n", "ana@example.org,Ana,Lyon\n", "bo@example.org,=Bo,\n"]
    edit.import_csv(world.app, world.ws, file, None, OWNER, False)

    again = edit.import_csv(world.app, world.ws, edit.export_csv(world.app, world.ws, Query()), None, OWNER, False)

    assert (again.rows, again.unchanged, again.failed) == (2, 2, 0)


def test_two_people_who_edit_one_contact_at_once_both_succeed(world: World) -> None:
    ana = world.create(first_name="Ana")
    names = {"custom.city": "Lyon", "last_name": "Duarte", "phone": "+447911123456", "email": "ana@example.org"}
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: world.edit(ana, **{name: names[name]}), names))

    assert {name: world.contact(ana).fields[name] for name in names} == names
    assert world.contact(ana).version == 1 + len(names)
    assert {a.kind for a in world.contact(ana).addresses} == {"phone", "email"}
