"""Saved views in the store, on both databases."""

from __future__ import annotations

import pytest
from tests.support.people import ACME, NOON, OTHER

from mercuri.errors import NotFound
from mercuri.store import users, views
from mercuri.store.database import Database


def test_a_view_is_seen_by_its_workspace_alone_even_when_it_is_everybodys(database: Database) -> None:
    with database.write(ACME) as tx:
        person = users.add_user(tx, "bo@example.org", "a hash", "owner", NOON).id
        ours = views.save(tx, person, "Ours", "reach=phone", shared=True)
        views.set_first(tx, person, ours.id)
    with database.write(OTHER) as tx:
        users.add_user(tx, "eve@example.org", "a hash", "owner", NOON)
        views.remove(tx, ours.id)
        found = views.visible(tx, person), views.first(tx, person)
        with pytest.raises(NotFound):
            views.get(tx, person, ours.id)

    assert found == ([], None)
    with database.read(ACME) as tx:
        assert views.first(tx, person) == ours
