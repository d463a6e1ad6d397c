"""First run: the first person to come creates the owner."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mercuri.errors import UserError
from mercuri.store import passwords, users
from mercuri.store.database import ANY
from mercuri.web import auth, render
from mercuri.web.auth import Form, sent
from mercuri.web.services import app_of, services_of

router = APIRouter(dependencies=[Depends(auth.from_here)])

#: Shortest password (NIST SP 800-63B asks for 8 or more; one factor alone deserves more).
SHORTEST = 10


@router.get("/setup")
def show(request: Request) -> Response:
    """The form for the owner; once there is a user, the login."""
    return render.see_other(request, "/login") if _is_done(request) else _form(request)


def _is_done(request: Request) -> bool:
    with app_of(request).db.read(ANY) as tx:
        return users.any_user(tx)


def _form(request: Request, email: str = "", problem: str = "") -> Response:
    status = 422 if problem else 200
    return render.page(request, "setup.html", status=status, email=email, problem=problem, shortest=SHORTEST)


@router.post("/setup")
def create_owner(request: Request, form: Annotated[Form, Depends(sent)]) -> Response:
    """Create the owner and log them in; only while there is no user, also when two people try at once."""
    if _is_done(request):
        return render.see_other(request, "/login")
    email, password = form.get("email", ""), form.get("password", "")
    if len(password) < SHORTEST:
        return _form(request, email, f"The password needs at least {SHORTEST} characters.")
    password_hash, app = passwords.hashed(password), app_of(request)
    workspace = services_of(request).default_workspace
    try:
        with app.db.write(workspace) as tx:
            if users.any_user(tx):
                return render.see_other(request, "/login")
            owner = users.add_user(tx, email, password_hash, "owner", app.now())
            users.note_audit(tx, owner.email, "user added", {"role": "owner"}, app.now())
    except UserError as error:
        return _form(request, email, error.message)
    response = render.see_other(request, "/welcome")
    auth.start(request, response, owner.id, workspace)
    return response
