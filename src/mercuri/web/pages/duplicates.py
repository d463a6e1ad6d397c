"""Duplicates: groups to review one after the other, side by side; merging, dismissing, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from mercuri.core.contact import Contact, ContactId, PortalId
from mercuri.engine import consent_setup, dedupe
from mercuri.errors import Clash, NotFound, UserError
from mercuri.store import duplicates, match_keys, merges, portals, shown, workspaces
from mercuri.store.database import Tx
from mercuri.store.duplicates import GroupQuery, Totals
from mercuri.web import render, words
from mercuri.web.auth import Form, Manager, Viewer, actor_of, sent
from mercuri.web.pages import duplicate_view as view
from mercuri.web.pages.naming import field_kinds
from mercuri.web.services import app_of, may_edit

router = APIRouter()

IdPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Sent = Annotated[Form, Depends(sent)]
_TABS = (
    ("groups", "Groups", "/duplicates"),
    ("possible", "Possible", "/duplicates/possible"),
    ("shared", "Shared values", "/duplicates/shared"),
    ("merged", "Merged", "/duplicates/merged"),
    ("dismissed", "Told apart", "/duplicates/dismissed"),
)


def _page(request: Request, template: str, tab: str = "", totals: Totals | None = None, **context: Any) -> Response:
    totals = totals or dedupe.totals(app_of(request), request.state.identity.workspace)
    tabs = [(text, href, totals.groups if key == "groups" else None, key == tab) for key, text, href in _TABS]
    return render.page(
        request,
        template,
        section="duplicates",
        tabs=tabs,
        totals=totals,
        may_edit=may_edit(request),
        kind_words=view.KIND_WORDS,
        name_of=view.name_of,
        names_of=view.names_of,
        **context,
    )


@router.get("/duplicates")
def index(request: Request, viewer: Viewer) -> Response:
    """Groups, the most certain first; for htmx the next rows."""
    asked = view.read(request.query_params)
    with app_of(request).db.read(viewer.workspace) as tx:
        found, cursor = dedupe.groups_page(tx, asked.query)
        totals = duplicates.totals(tx)
    template = "parts/group_rows.html" if render.is_htmx(request) and asked.cursor else "duplicates.html"
    selects = (
        ("reason", "Reason", list(view.REASONS.items()), asked.reason),
        ("only", "Which", list(view.ONLY.items()), asked.only),
        ("sort", "Order", list(view.SORT_WORDS.items()), asked.sort),
    )
    more = asked.address(cursor=cursor) if cursor else ""
    return _page(request, template, "groups", totals, groups=found, asked=asked, selects=selects, more_href=more)


@router.get("/duplicates/possible")
def possible(request: Request, viewer: Viewer, cursor: Annotated[str | None, Query(max_length=500)] = None) -> Response:
    """Pairs that weaker evidence suggests."""
    found, following = dedupe.possible_pairs(app_of(request), viewer.workspace, cursor=cursor, limit=view.PAGE)
    return _page(request, "duplicates_possible.html", "possible", pairs=found, following=following)


@router.get("/duplicates/shared")
def shared(request: Request, viewer: Viewer) -> Response:
    """Values that join nobody."""
    app = app_of(request)
    found = dedupe.shared_values(app, viewer.workspace)
    with app.db.read(viewer.workspace) as tx:
        settings = workspaces.settings(tx)
    caps: dict[str, Any] = {"email_cap": settings.email_cap, "phone_cap": settings.phone_cap}
    return _page(request, "duplicates_shared.html", "shared", values=found, **caps)


@router.post("/duplicates/caps")
def change_caps(request: Request, manager: Manager, form: Sent) -> Response:
    """Set how many contacts a value still joins; the groups follow at once."""
    caps = {key: form.get(key, "") for key in ("email_cap", "phone_cap")}
    consent_setup.change_workspace(app_of(request), manager.workspace, caps, actor_of(manager))
    response = render.see_other(request, "/duplicates/shared")
    return render.toast(request, response, "Saved; the groups are as it says.")


@router.post("/duplicates/shared")
def share(request: Request, manager: Manager, form: Sent) -> Response:
    """Declare a value shared."""
    back = render.local_path(form.get("back", ""), "/duplicates/shared")
    value = form.get("value", "")
    kind = form.get("kind") or ("email" if "@" in value else "phone")
    one = dedupe.share(app_of(request), manager.workspace, kind, value, actor_of(manager), form.get("note", ""))
    undo = f"/duplicates/shared/{one.id}/remove"
    return render.toast(request, render.see_other(request, back), f"{one.value} joins nobody any more.", undo=undo)


@router.post("/duplicates/shared/{value_id}/remove")
def unshare(request: Request, manager: Manager, value_id: IdPath) -> Response:
    """Let a value join contacts again."""
    dedupe.unshare(app_of(request), manager.workspace, value_id, actor_of(manager))
    response = render.see_other(request, "/duplicates/shared")
    return render.toast(request, response, "The value counts again; its groups are back.")


@router.get("/duplicates/merged")
def merged(request: Request, viewer: Viewer, before: Annotated[int | None, Query(ge=1)] = None) -> Response:
    """Merges, newest first, each with its undo."""
    with app_of(request).db.read(viewer.workspace) as tx:
        found = merges.recent(tx, before=before, limit=view.PAGE + 1)
        people = _people(tx, [id_ for one in found for id_ in (one.survivor, *one.absorbed)])
    more = f"/duplicates/merged?before={found[view.PAGE - 1].id}" if len(found) > view.PAGE else ""
    return _page(request, "duplicates_merged.html", "merged", merges=found[: view.PAGE], people=people, more_href=more)


@router.get("/duplicates/dismissed")
def dismissed(request: Request, viewer: Viewer) -> Response:
    """Pairs that a person told apart."""
    with app_of(request).db.read(viewer.workspace) as tx:
        found = match_keys.recent_apart(tx, limit=4 * view.PAGE)
        pairs = {(item.a, item.b): item for item in reversed(found)}
        people = _people(tx, [id_ for pair in pairs for id_ in pair])
    newest = list(reversed(pairs.values()))
    return _page(request, "duplicates_dismissed.html", "dismissed", pairs=newest, people=people)


@router.post("/duplicates/dismissed/remove")
def reconsider(request: Request, manager: Manager, form: Sent) -> Response:
    """Forget that two contacts were told apart."""
    pair = view.ids_in(form.get("pair", ""))
    if len(pair) != 2:
        raise NotFound("There is no such pair of contacts.")
    dedupe.reconsider(app_of(request), manager.workspace, pair[0], pair[1], actor_of(manager))
    response = render.see_other(request, "/duplicates/dismissed")
    return render.toast(request, response, "They count as possible duplicates again.")


@router.post("/duplicates/pair")
def tell_pair_apart(request: Request, manager: Manager, form: Sent) -> Response:
    """Remember that a possible pair is two people."""
    pair = view.ids_in(form.get("pair", ""))
    if len(pair) != 2:
        raise NotFound("There is no such pair of contacts.")
    dedupe.dismiss_pair(app_of(request), manager.workspace, pair[0], pair[1], actor_of(manager))
    return render.toast(request, render.see_other(request, "/duplicates/possible"), "Remembered as two people.")


# --- one group ------------------------------------------------------------------------------------------------------


@router.get("/duplicates/compare")
def compare(request: Request, viewer: Viewer, ids: Annotated[str, Query(max_length=1000)] = "") -> Response:
    """Some contacts side by side, such as a possible pair."""
    with app_of(request).db.read(viewer.workspace) as tx:
        people = [c for c in shown.many(tx, match_keys.contact_ids(view.ids_in(ids))) if _is_alive(c)]
        if len(people) < 2:
            raise NotFound("There are no two such contacts any more.")
        records, kinds = _records_to_merge(tx, people), field_kinds(tx)
    return _compare(request, people, None, records=records, kinds=kinds)


@router.get("/duplicates/{group_id}")
def group(request: Request, viewer: Viewer, group_id: IdPath) -> Response:
    """One group, its members side by side. A group that was settled leads to the list."""
    asked = view.read(request.query_params)
    with app_of(request).db.read(viewer.workspace) as tx:
        row = duplicates.row(tx, group_id)
        if row is None:
            now = duplicates.group_of(tx, group_id)
            return render.see_other(request, asked.address(f"/duplicates/{now}" if now else "/duplicates"))
        found = dedupe.view(tx, group_id)
        neighbours = [duplicates.neighbour(tx, asked.query, row, back=back) for back in (True, False)]
        records, kinds = _records_to_merge(tx, found.members), field_kinds(tx)
    around = [asked.address(f"/duplicates/{id_}") if id_ else "" for id_ in neighbours]
    return _compare(request, found.members, found, asked=asked, around=around, records=records, kinds=kinds)


def _compare(
    request: Request,
    people: Sequence[Contact],
    found: dedupe.GroupView | None,
    *,
    asked: view.Asked | None = None,
    around: Sequence[str] = ("", ""),
    records: Sequence[view.RecordsOf],
    kinds: Mapping[str, str],
) -> Response:
    wanted = request.query_params.get("survivor", "")
    survivor = int(wanted) if view.is_id(wanted) and int(wanted) in {c.id for c in people} else None
    proposal = dedupe.propose(people, survivor)
    rows = view.field_rows(people, proposal)
    return _page(
        request,
        "duplicate_group.html",
        people=people,
        group=found,
        columns=[
            {"text": "Field", "hidden": True},
            *({"text": view.name_of(contact), "href": f"/contacts/{contact.id}"} for contact in people),
        ],
        proposal=proposal,
        differing=[row for row in rows if row.differs],
        equal=[row for row in rows if not row.differs],
        asked=asked or view.Asked(),
        previous_href=around[0],
        next_href=around[1],
        linked=sum(bool(contact.hubspot) for contact in people),
        records=records,
        kinds=kinds,
        ids=",".join(str(contact.id) for contact in people),
    )


def _records_to_merge(tx: Tx, people: Sequence[Contact]) -> list[view.RecordsOf]:
    """The portals in which two or more of them have a record, with what a merge would do there."""
    counts = Counter(portal for contact in people for portal in {link.portal_id for link in contact.hubspot})
    return [
        view.RecordsOf(portal.name, counts[portal.id], portal.settings.two_way, portal.settings.hold_hours)
        for portal in portals.all(tx)
        if counts[portal.id] > 1
    ]


@router.post("/duplicates/merge")
def merge(request: Request, manager: Manager, form: Sent) -> Response:
    """Merge what was seen, by the choices made; then on to the next group."""
    app, ws = app_of(request), manager.workspace
    seen, asked = view.ids_in(form.get("seen", "")), view.read(form)
    group_id = int(form["group"]) if view.is_id(form.get("group", "")) else None
    survivor = int(form["survivor"]) if view.is_id(form.get("survivor", "")) else None
    with app.db.read(ws) as tx:
        people = shown.many(tx, match_keys.contact_ids(seen))
        following = _next(tx, asked.query, group_id)
    if len(people) < 2:
        raise UserError("A merge needs at least two contacts. Nothing was merged.")
    chosen = view.picks(form, dedupe.propose(people, survivor if survivor in seen else None))
    try:
        done = dedupe.merge(
            app,
            ws,
            group_id if group_id is not None else seen,
            actor_of(manager),
            survivor_id=survivor,
            fields=chosen,
            seen=seen,
            override=bool(form.get("override")),
        )
    except Clash as clash:
        return _look_again(request, asked, clash)
    path = "/duplicates" if form.get("stay") or not following else f"/duplicates/{following}"
    response = render.see_other(request, asked.address(path))
    said = f"{words.counted(len(done.merge.absorbed) + 1, 'contact')} merged into {view.name_of(done.survivor)}."
    if any(one.state == "held" for one in done.merge.hubspot):
        said += " HubSpot's records follow after the hold."
    return render.toast(request, response, said, undo=f"/duplicates/merged/{done.merge.id}/undo")


def _next(tx: Tx, query: GroupQuery, group_id: int | None) -> int | None:
    row = duplicates.row(tx, group_id) if group_id is not None else None
    if row is None:
        return None
    return duplicates.neighbour(tx, query, row) or duplicates.neighbour(tx, query, row, back=True)


def _look_again(request: Request, asked: view.Asked, clash: Clash) -> Response:
    present = clash.present
    path = f"/duplicates/{present.id}" if isinstance(present, dedupe.GroupView) else "/duplicates"
    return render.toast(request, render.see_other(request, asked.address(path)), clash.message, tone="bad")


@router.post("/duplicates/{group_id}/dismiss")
def dismiss(request: Request, manager: Manager, group_id: IdPath, form: Sent) -> Response:
    """Remember that the members are different people; then on to the next group."""
    app, asked = app_of(request), view.read(form)
    with app.db.read(manager.workspace) as tx:
        following = _next(tx, asked.query, group_id)
    pair = view.ids_in(form.get("pair", ""))
    pairs = [(pair[0], pair[1])] if len(pair) == 2 else None
    count = dedupe.dismiss(app, manager.workspace, group_id, actor_of(manager), pairs)
    path = "/duplicates" if form.get("stay") or not following else f"/duplicates/{following}"
    response = render.see_other(request, asked.address(f"/duplicates/{group_id}" if pairs else path))
    return render.toast(request, response, f"Remembered: {words.counted(count, 'pair')} of different people.")


@router.post("/duplicates/merged/{merge_id}/undo")
def undo(request: Request, manager: Manager, merge_id: IdPath, form: Sent) -> Response:
    """Take a merge back."""
    back = render.local_path(form.get("back", ""), "/duplicates")
    done = dedupe.undo_merge(
        app_of(request), manager.workspace, merge_id, actor_of(manager), confirm=bool(form.get("confirm"))
    )
    said = "The merge was taken back."
    if done.kept:
        named = ", ".join(words.field_name(name) for name in done.kept)
        said += f" Edited since, and left as they are: {named}."
    return render.toast(request, render.see_other(request, back), said)


@router.post("/duplicates/merged/{merge_id}/hubspot")
def in_hubspot(request: Request, manager: Manager, merge_id: IdPath, form: Sent) -> Response:
    """Make a merge in HubSpot now, or let the records stay apart there."""
    action = "now" if form.get("action") == "now" else "cancel"
    portal = PortalId(form.get("portal", ""))
    done = dedupe.decide_in_hubspot(
        app_of(request), manager.workspace, merge_id, action, actor_of(manager), portal=portal
    )
    one = next(one for one in done.hubspot if one.portal == portal)
    said = {"done": "Merged in HubSpot.", "cancelled": "HubSpot keeps its records apart."}
    response = render.see_other(request, "/duplicates/merged")
    return render.toast(request, response, said.get(one.state, one.note), tone="bad" if one.state == "failed" else "")


def _people(tx: Tx, ids: Sequence[int]) -> dict[ContactId, Contact]:
    return {contact.id: contact for contact in shown.many(tx, match_keys.contact_ids(dict.fromkeys(ids)))}


def _is_alive(contact: Contact) -> bool:
    return contact.deleted_at is None and contact.merged_into is None
