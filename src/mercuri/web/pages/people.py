"""Settings, People: users and roles, tokens for programs, sessions, and what was done in Settings."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from mercuri.errors import UserError
from mercuri.store import users
from mercuri.store.passwords import hashed
from mercuri.web import render
from mercuri.web.auth import Form, Owner, Viewer, sent
from mercuri.web.services import app_of

router = APIRouter()

UserPath = Annotated[int, Path(ge=1, le=2**63 - 1)]
Sent = Annotated[Form, Depends(sent)]
ROLES = (
    ("owner", "Owner: everything"),
    ("manager", "Manager: all but users and tokens"),
    ("viewer", "Viewer: reads"),
)
#: What the audit tells, as people say it.
ACTIONS = {
    "consent.in": "opted an address in",
    "consent.mended": "mended states of subscription",
    "consent.out": "opted an address out",
    "consent.own_properties": "made Mercuri's properties in HubSpot",
    "contact.erased": "erased a contact for good",
    "contact.merged": "merged contacts",
    "contact.unmerged": "took a merge apart",
    "duplicates.cancel_batch": "stopped a bulk merge",
    "duplicates.dismissed": "told contacts apart",
    "duplicates.mended": "mended the groups of duplicates",
    "duplicates.merge_safe": "merged all safe groups",
    "duplicates.shared_value": "called a value shared",
    "duplicates.undo_batch": "took a bulk merge back",
    "duplicates.unshared_value": "called a value shared no longer",
    "keys.rotated": "changed the secret key",
    "merge.hubspot_cancel": "called a merge in HubSpot off",
    "merge.hubspot_now": "had HubSpot merge at once",
    "portal.connected": "connected a HubSpot account",
    "portal.disconnected": "disconnected a HubSpot account",
    "settings.changed": "changed settings of an account",
    "token.created": "created an API token",
    "token.revoked": "revoked an API token",
    "user.added": "added a user",
    "user.removed": "removed a user",
    "user.role": "changed a user's role",
    "workspace.settings": "changed settings of the workspace",
}


@router.get("/settings/people")
def show(request: Request, viewer: Viewer) -> Response:
    """Who may log in, which programs may call, and what was done."""
    return _page(request, viewer)


def _page(request: Request, viewer: Viewer, *, secret: str = "", secret_of: str = "", problem: str = "") -> Response:
    with app_of(request).db.read(viewer.workspace) as tx:
        members, tokens, entries = users.users(tx), users.tokens(tx), users.audit(tx, limit=30)
    return render.page(
        request,
        "settings/people.html",
        status=422 if problem else 200,
        section="settings",
        members=members,
        tokens=tokens,
        entries=entries,
        roles=ROLES,
        actions=ACTIONS,
        secret=secret,
        secret_of=secret_of,
        problem=problem,
        is_owner=viewer.role == "owner",
    )


@router.post("/settings/people")
def add_user(request: Request, owner: Owner, form: Sent) -> Response:
    """Add a user; the password is made here and shown once, for the owner to hand over."""
    app, email, password = app_of(request), form.get("email", ""), secrets.token_urlsafe(12)
    try:
        with app.db.write(owner.workspace) as tx:
            made = users.add_user(tx, email, hashed(password), form.get("role", "viewer"), app.now())
            users.note_audit(tx, owner.name, "user.added", {"user": made.id, "role": made.role}, app.now())
    except UserError as error:
        return _page(request, owner, problem=error.message)
    return _page(request, owner, secret=password, secret_of=f"password of {made.email}")


@router.post("/settings/people/{user_id}/role")
def set_role(request: Request, owner: Owner, user_id: UserPath, form: Sent) -> Response:
    """Give a user another role."""
    app = app_of(request)
    with app.db.write(owner.workspace) as tx:
        users.set_role(tx, user_id, form.get("role", ""))
        users.note_audit(tx, owner.name, "user.role", {"user": user_id, "role": form.get("role", "")}, app.now())
    return render.toast(request, render.see_other(request, "/settings/people"), "The role was changed.")


@router.post("/settings/people/{user_id}/remove")
def remove_user(request: Request, owner: Owner, user_id: UserPath) -> Response:
    """Take a user's access away, and end their sessions."""
    app = app_of(request)
    with app.db.write(owner.workspace) as tx:
        users.remove_user(tx, user_id)
        users.end_sessions(tx, user_id)
        users.note_audit(tx, owner.name, "user.removed", {"user": user_id}, app.now())
    return render.toast(request, render.see_other(request, "/settings/people"), "The user was removed.")


@router.post("/settings/tokens")
def create_token(request: Request, owner: Owner, form: Sent) -> Response:
    """Make a token for a program; it is shown once."""
    app, name = app_of(request), form.get("name", "").strip()
    try:
        with app.db.write(owner.workspace) as tx:
            token = users.create_token(tx, name, form.get("role", "viewer"), app.now())
            users.note_audit(tx, owner.name, "token.created", {"name": name}, app.now())
    except UserError as error:
        return _page(request, owner, problem=error.message)
    return _page(request, owner, secret=token, secret_of=f"token {name}")


@router.post("/settings/tokens/revoke")
def revoke_token(request: Request, owner: Owner, form: Sent) -> Response:
    """End a token: programs that use it get 401 from now on."""
    app, name = app_of(request), form.get("name", "")
    with app.db.write(owner.workspace) as tx:
        users.revoke_token(tx, name)
        users.note_audit(tx, owner.name, "token.revoked", {"name": name}, app.now())
    return render.toast(request, render.see_other(request, "/settings/people"), f"The token {name} was revoked.")


@router.post("/settings/sessions/end")
def end_sessions(request: Request, viewer: Viewer) -> Response:
    """Log this person out on every device, this one included."""
    assert viewer.user_id is not None, "pages are for people, not for tokens"
    with app_of(request).db.write(viewer.workspace) as tx:
        users.end_sessions(tx, viewer.user_id)
    return render.see_other(request, "/login")
