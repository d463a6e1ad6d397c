"""`mercuri duplicates` and `mercuri merges`: contacts that share a phone number or an e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from mercuri.cli.edge import say
from mercuri.cli.output import LARGEST_ID, Id, Json, emit, table
from mercuri.cli.session import Session, session

if TYPE_CHECKING:
    from mercuri.web.api.duplicate_models import BatchOut, GroupOut

app = typer.Typer(help="Contacts that share a phone number or e-mail.", no_args_is_help=True)
merges = typer.Typer(help="Merges that were made.", no_args_is_help=True)


@app.command("list")
def list_groups(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the page before.")] = None,
    as_json: Json = False,
) -> None:
    """Groups, the most certain first."""
    from mercuri.engine import dedupe
    from mercuri.store import duplicates
    from mercuri.web.api.duplicate_models import GroupOut, GroupPage

    with session() as s:
        views, after = dedupe.list_groups(s.app, s.ws, duplicates.GroupQuery(cursor=cursor, limit=limit))
        with s.app.db.read(s.ws) as tx:
            totals = duplicates.totals(tx)
    groups = [GroupOut.of(view) for view in views]
    if as_json:
        emit(GroupPage(items=groups, next_cursor=after, groups=totals.groups, contacts=totals.contacts))
        return
    rows = [(g.id, g.size, _reasons(g), _names(g)) for g in groups]
    table(["group", "size", "shared", "members"], rows, empty="No duplicates.")
    say(f"{totals.groups:,} groups, {totals.contacts:,} contacts." + (f" Next: --cursor {after}" if after else ""))


def _reasons(group: GroupOut) -> str:
    return ", ".join(f"{reason.kind} {reason.value}" for reason in group.reasons)


def _names(group: GroupOut) -> str:
    return ", ".join(f"{m.id} {m.first_name} {m.last_name}".strip() for m in group.members)


@app.command("merge")
def merge(
    group: Id,
    survivor: Annotated[int | None, typer.Option(min=1, max=LARGEST_ID, help="The contact that remains.")] = None,
    override: Annotated[bool, typer.Option(help="Also members that were told apart.")] = False,
    as_json: Json = False,
) -> None:
    """Merge a group into one contact."""
    from mercuri.engine import dedupe
    from mercuri.web.api.duplicate_models import MergeOut

    with session() as s:
        done = dedupe.merge(s.app, s.ws, group, s.actor, survivor_id=survivor, override=override)
    if as_json:
        emit(MergeOut.of(done))
        return
    absorbed = ", ".join(str(one) for one in done.merge.absorbed)
    say(f"Merged {absorbed} into {done.survivor.id}. Take it back: mercuri merges undo {done.merge.id}")
    for one in done.merge.hubspot:
        if one.state == "held" and one.until is not None:
            say(f"Portal {one.portal} merges its records after {one.until:%Y-%m-%d %H:%M} UTC.")


@app.command("dismiss")
def dismiss(group: Id, as_json: Json = False) -> None:
    """Remember that the members of a group are different people."""
    from mercuri.engine import dedupe

    with session() as s:
        pairs = dedupe.dismiss(s.app, s.ws, group, s.actor)
    if as_json:
        emit({"pairs": pairs})
    else:
        say(f"{pairs} pairs are remembered as different people.")


@app.command("merge-safe")
def merge_safe(preview: Annotated[bool, typer.Option(help="Only count.")] = False, as_json: Json = False) -> None:
    """Merge every group that is certainly one person. One undo takes all of it back."""
    from mercuri.engine import dedupe

    with session() as s:
        if preview:
            _preview(s, as_json)
            return
        batch = _done(s, dedupe.merge_safe(s.app, s.ws, s.actor).id)
    if as_json:
        emit({**batch.model_dump(mode="json"), "batch_id": batch.id})
        return
    say(f"{batch.done:,} of {batch.total:,} groups were merged. Take it back: mercuri merges undo-batch {batch.id}")
    _tell_skipped(batch.skipped)


def _preview(s: Session, as_json: bool) -> None:
    from mercuri.engine import dedupe
    from mercuri.web.api.duplicate_models import SafeOut

    safe = dedupe.preview_safe(s.app, s.ws)
    while safe.reached is not None:
        safe = dedupe.preview_safe(s.app, s.ws, safe)
    if as_json:
        emit(SafeOut.of(safe))
        return
    say(f"{safe.groups:,} groups ({safe.contacts:,} contacts) would be merged. Nothing was changed.")
    _tell_skipped(safe.skipped)


def _done(s: Session, batch_id: int) -> BatchOut:
    """See a bulk merge or its undo to its end; others may work on it too, each goes on from the last step stored."""
    from mercuri.engine import dedupe

    while _batch(s, batch_id).state in ("running", "undoing"):
        dedupe.work_on_batches(s.app, s.ws)
    return _batch(s, batch_id)


def _batch(s: Session, batch_id: int) -> BatchOut:
    from mercuri.store import merges as stored
    from mercuri.web.api.duplicate_models import BatchOut

    with s.app.db.read(s.ws) as tx:
        return BatchOut.of(stored.batch(tx, batch_id), stored.standing(tx, batch_id))


def _tell_skipped(skipped: Mapping[str, int]) -> None:
    for reason, number in sorted(skipped.items()):
        say(f"  left alone: {number:,} ({reason})")


@merges.command("list")
def list_merges(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50, as_json: Json = False
) -> None:
    """Merges, newest first."""
    from mercuri.store import merges as stored
    from mercuri.web.api.duplicate_models import MergeLine

    with session() as s, s.app.db.read(s.ws) as tx:
        found = [MergeLine.of(merge) for merge in stored.recent(tx, limit=limit)]
    if as_json:
        emit(found)
        return
    absorbed = {m.id: " ".join(map(str, m.absorbed)) for m in found}
    rows = [(m.id, m.survivor, absorbed[m.id], m.at, m.actor, m.undone_at, m.hubspot.state) for m in found]
    table(["id", "survivor", "absorbed", "at", "by", "undone", "hubspot"], rows, empty="No merges yet.")


@merges.command("undo")
def undo(
    merge_id: Id,
    confirm: Annotated[bool, typer.Option(help="Also when HubSpot merged them: they are new records there.")] = False,
    as_json: Json = False,
) -> None:
    """Take a merge back; what somebody edited since stays."""
    from mercuri.engine import dedupe
    from mercuri.web.api.duplicate_models import UndoneOut
    from mercuri.web.api.models import Contact

    with session() as s:
        done = dedupe.undo_merge(s.app, s.ws, merge_id, s.actor, confirm=confirm)
    if as_json:
        contacts = [Contact.of(one) for one in done.contacts]
        emit(UndoneOut(merge_id=merge_id, contacts=contacts, kept=dict(done.kept)))
        return
    say(f"Merge {merge_id} is taken back: contacts {', '.join(str(one.id) for one in done.contacts)}.")
    if done.kept:
        say(f"Edited since, and left as they are: {', '.join(done.kept)}.")


@merges.command("undo-batch")
def undo_batch(batch_id: Id, as_json: Json = False) -> None:
    """Take a whole bulk merge back."""
    from mercuri.engine import dedupe

    with session() as s:
        dedupe.undo_batch(s.app, s.ws, batch_id, s.actor)
        batch = _done(s, batch_id)
    if as_json:
        emit(batch)
        return
    rest = f", but for {batch.standing:,} merges that more happened after" if batch.standing else ""
    say(f"Bulk merge {batch_id} is taken back{rest}.")


@merges.command("cancel-batch")
def cancel_batch(batch_id: Id, as_json: Json = False) -> None:
    """Stop a bulk merge, or its undo; what was done stays."""
    from mercuri.engine import dedupe

    with session() as s:
        dedupe.cancel_batch(s.app, s.ws, batch_id, s.actor)
        batch = _batch(s, batch_id)
    if as_json:
        emit(batch)
        return
    say(f"Bulk merge {batch_id} is stopped: {batch.done:,} groups were merged, {batch.standing:,} of them still are.")
