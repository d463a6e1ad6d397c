"""Rows whose column is among many values, by statements written by hand: a load asks several for every page."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from mercuri.store.database import Tx

_IN_LIST = " IN (SELECT value FROM json_each(:list))"


def among(tx: Tx, statement: str, values: Collection[Any], **more: object) -> Sequence[Any]:
    """The rows whose last named column is among these values: one parameter, however many they are."""
    if not values:
        return ()
    listed = list(values)
    if tx.is_sqlite:
        asked = {"ws": tx.workspace, "list": json.dumps(listed), **more}
        # The driver's own cursor: a load asks several of these for every page.
        rows: list[Any] = tx.raw().execute(statement + _IN_LIST, asked).fetchall()
        return rows
    return tx.execute(_for_postgresql(statement), {"ws": tx.workspace, "list": listed, **more}).all()


@cache
def _for_postgresql(statement: str) -> sa.TextClause:
    return sa.text(statement if ":list" in statement else f"{statement} = ANY(:list)")
