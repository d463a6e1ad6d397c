"""Saved views, HubSpot's journal, and a merge in HubSpot that is told by portal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, Text
from sqlalchemy.engine import Connection, Row

from mercuri.store import schema

revision = "0002"
down_revision = "0001"

_MERGES = sa.text(
    "SELECT id, workspace_id, journal, actor, undone_at, hubspot_state, hubspot_until, hubspot_note FROM merge"
    " WHERE id > :after AND (hubspot_state <> 'none' OR hubspot_note <> '') ORDER BY id LIMIT 500"
)
#: Who made a merge that somebody made in HubSpot; the portal follows.
_FOLLOWED = "HubSpot "
_APART = "HubSpot keeps its records apart."
_TAKEN_BACK = "The merge was taken back before HubSpot's was made."


def upgrade() -> None:
    """Add what is missing, and carry over what the columns said that go."""
    conn = op.get_bind()
    for table in (schema.saved_view, schema.merge_in_hubspot):
        table.create(conn, checkfirst=True)
    if "first_view" not in _columns(conn, "membership"):
        op.add_column("membership", Column("first_view", BigInteger))
    if "journal" not in _columns(conn, "portal"):
        op.add_column("portal", Column("journal", Text, nullable=False, server_default="{}"))
    if "hubspot_state" in _columns(conn, "merge"):
        _carry_merges_over(conn)


def _columns(conn: Connection, table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(conn).get_columns(table)}


def _carry_merges_over(conn: Connection) -> None:
    after = 0
    while found := conn.execute(_MERGES, {"after": after}).all():
        after = found[-1].id
        rows = [part for merge in found for part in _parts(merge)]
        if rows:
            conn.execute(sa.insert(schema.merge_in_hubspot), rows)
    op.drop_index("merge_held", "merge")
    for column in ("hubspot_state", "hubspot_until", "hubspot_note", "portal_id"):
        op.drop_column("merge", column)


def _parts(merge: Row[Any]) -> Iterator[dict[str, Any]]:
    """What becomes of a merge in each portal. An erased person's merge has no journal, and no part in HubSpot."""
    journal = json.loads(merge.journal)
    wanted = journal.get("hubspot", [])
    made_in = _made_in(merge)
    for item in wanted:
        yield _part(merge, item["portal"], item["primary"], item["others"], *_fate(merge, item, made_in))
    if made_in is not None and made_in not in {item["portal"] for item in wanted}:
        # Of the records of each portal, the one that was kept comes first.
        primary = next((link[1] for link in journal["links"] if link[0] == made_in), "")
        yield _part(merge, made_in, primary, [], "done", None, merge.hubspot_note)


def _made_in(merge: Row[Any]) -> str | None:
    """The portal in which somebody made the merge, which was followed here."""
    is_followed = merge.hubspot_state == "done" and merge.actor.startswith(_FOLLOWED)
    return merge.actor.removeprefix(_FOLLOWED) if is_followed else None


def _fate(merge: Row[Any], item: Mapping[str, Any], made_in: str | None) -> tuple[str, int | None, str]:
    if not item["others"]:
        return "done", None, ""
    if made_in is not None and made_in != item["portal"]:
        return "none", None, _APART
    if merge.hubspot_state == "held" and merge.undone_at is not None:
        return "cancelled", None, _TAKEN_BACK
    return merge.hubspot_state, merge.hubspot_until, merge.hubspot_note


def _part(
    merge: Row[Any], portal: str, primary: str, others: list[str], state: str, until: int | None, note: str
) -> dict[str, Any]:
    return {
        "workspace_id": merge.workspace_id,
        "merge_id": merge.id,
        "portal_id": portal,
        "primary_id": primary,
        "others": json.dumps(others),
        "state": state,
        "until": until,
        "note": note,
    }
