"""First run: whoever started the server creates the owner, with the code that its terminal showed."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mercuri.engine.app import App
from mercuri.errors import UserError
from mercuri.store import passwords, users
from mercuri.store.database import ANY
from mercuri.web import auth, render
from mercuri.web.auth import Form, sent
from mercuri.web.services import app_of, services_of

router = APIRouter(dependencies=[Depends(auth.from_here)])

#: Shortest password (NIST SP 800-63B asks for 8 or more; one factor alone deserves more).
SHORTEST = 10


def setup_address(app: App) -> str:
    """Where the owner is created, with the code; "" once there is a user.

    The code follows from the secret key, so that every process of an installation knows the same one.
    """
    with app.db.read(ANY) as tx:
        return "" if users.any_user(tx) else f"{app.settings.public_url}/setup?code={_code(app)}"


def _code(app: App) -> str:
    return app.vault.keyed_hash("who creates the owner")[:20]


@router.get("/setup")
def show(request: Request) -> Response:
    """The form for the owner; once there is a user, the login."""
    return render.see_other(request, "/login") if _is_done(request) else _form(request, dict(request.query_params))


def _is_done(request: Request) -> bool:
    with app_of(request).db.read(ANY) as tx:
        return users.any_user(tx)


def _form(request: Request, given: Form, problem: str = "") -> Response:
    shown = {name: given.get(name, "") for name in ("code", "email")}
    return render.page(
        request, "setup.html", status=422 if problem else 200, problem=problem, shortest=SHORTEST, **shown
    )


@router.post("/setup")
def create_owner(request: Request, form: Annotated[Form, Depends(sent)]) -> Response:
    """Create the owner and log them in; only while there is no user, also when two people try at once."""
    if _is_done(request):
        return render.see_other(request, "/login")
    email, password, app = form.get("email", ""), form.get("password", ""), app_of(request)
    if not hmac.compare_digest(form.get("code", "").strip().encode(), _code(app).encode()):
        return _form(request, form, "This is not the set-up code. Nobody was created; copy it from the terminal.")
    if len(password) < SHORTEST:
        return _form(request, form, f"The password needs at least {SHORTEST} characters.")
    password_hash = passwords.hashed(password)
    workspace = services_of(request).default_workspace
    try:
        with app.db.write(workspace) as tx:
            if users.any_user(tx):
                return render.see_other(request, "/login")
            owner = users.add_user(tx, email, password_hash, "owner", app.now())
            users.note_audit(tx, owner.email, "user.added", {"role": "owner"}, app.now())
    except UserError as error:
        return _form(request, form, error.message)
    response = render.see_other(request, "/welcome")
    auth.start(request, response, owner.id, workspace)
    return response
