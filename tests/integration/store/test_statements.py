"""Statements that are made once: on both databases they find what the same statement made anew finds."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mercuri.core.contact import WorkspaceId
from mercuri.store import schema
from mercuri.store.database import Database
from mercuri.store.statements import WORKSPACE, Statement

_g = schema.change.c
_FIELDS = sa.bindparam("fields", expanding=True)
_NAMED = Statement(
    sa.select(_g.field, _g.planned).where(_g.workspace_id == WORKSPACE, _g.field.in_(_FIELDS)).order_by(_g.field),
    lists=["fields"],
)
_OTHERS = Statement(
    sa.select(_g.field).where(_g.workspace_id == WORKSPACE, _g.field.not_in(_FIELDS), _g.side.in_(["mercuri"])),
    lists=["fields"],
)
_COLUMNS = ("workspace_id", "field", "side", "before", "after", "actor", "reason", "planned", "at")


@pytest.fixture
def three(database: Database) -> Database:
    with database.write(WorkspaceId(1)) as tx:
        rows = [(1, name, "mercuri", "", "", "", "", name == "b", 0) for name in "abc"]
        tx.insert_many(schema.change, _COLUMNS, [*rows, (2, "a", "mercuri", "", "", "", "", False, 0)])
    return database


@pytest.mark.parametrize("wanted", [[], ["a"], ["a", "b"], ["c", "b", "a"], ["a", "x", "y", "z", "c"]])
def test_a_list_of_any_length_finds_its_own(three: Database, wanted: list[str]) -> None:
    with three.read(WorkspaceId(1)) as tx:
        assert [row.field for row in tx.run(_NAMED, fields=wanted)] == sorted(set(wanted) & set("abc"))
        assert sorted(tx.run(_OTHERS, fields=wanted).scalars()) == sorted(set("abc") - set(wanted))


def test_rows_have_names_and_booleans(three: Database) -> None:
    with three.read(WorkspaceId(1)) as tx:
        assert [(row.field, row.planned) for row in tx.run(_NAMED, fields="ab")] == [("a", False), ("b", True)]
        assert tx.run(_NAMED, fields="b").first().planned is True


def test_nothing_found_is_none(three: Database) -> None:
    with three.read(WorkspaceId(3)) as tx:
        found = tx.run(_NAMED, fields=["a"])

    assert (found.first(), found.scalar(), found.scalars(), found.all()) == (None, None, [], [])


def test_values_of_one_use_are_not_those_of_the_next(three: Database) -> None:
    change = sa.update(schema.change).where(_g.workspace_id == WORKSPACE, _g.field == sa.bindparam("this"))
    rename = Statement(change.values(after=sa.bindparam("after")).returning(_g.after))
    with three.write(WorkspaceId(1)) as tx:
        found = [tx.run(rename, this=name, after=name * 2).scalar() for name in "ab"]
        missing = tx.run(rename, this="x", after="x").rowcount

    assert (found, missing) == (["aa", "bb"], 0)
