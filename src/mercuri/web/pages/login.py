"""Log in and out, and how the pages look to this browser."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mercuri.store import passwords, users
from mercuri.store.database import ANY
from mercuri.web import auth, render
from mercuri.web.auth import Form, sent
from mercuri.web.problems import NeedsSetup
from mercuri.web.services import app_of

#: Without a login.
open_router = APIRouter(dependencies=[Depends(auth.from_here)])
router = APIRouter()

_REFUSED = "The e-mail and password do not fit together."
_WAIT = "Too many tries. Wait a little, then try again."
_YEAR = 365 * 24 * 3600
_PREFERENCES = {"theme": ("light", "dark"), "shortcuts": ("on", "off")}


@open_router.get("/login")
def show(request: Request, next: str = "") -> Response:
    """The login form; who is logged in already goes on."""
    if auth.identity_of(request) is not None:
        return render.see_other(request, render.local_path(next))
    with app_of(request).db.read(ANY) as tx:
        if not users.any_user(tx):
            raise NeedsSetup("Create the first user.")
    return _form(request, next)


def _form(request: Request, next: str, email: str = "", problem: str = "", status: int = 200) -> Response:
    return render.page(request, "login.html", status=status, next=next, email=email, problem=problem)


@open_router.post("/login")
def log_in(request: Request, form: Annotated[Form, Depends(sent)]) -> Response:
    """Check a password. One sentence for every failure, so that nobody learns who is a user; tries are braked."""
    app, now = app_of(request), app_of(request).now()
    email, next = form.get("email", "")[:320].strip().lower(), form.get("next", "")
    keys = [f"account:{email}", f"address:{request.client.host if request.client else ''}"]
    with app.db.read(ANY) as tx:
        may_try, login = users.may_try(tx, keys, now), users.find_login(tx, email)
    if not may_try:
        return _form(request, next, email, _WAIT, 429)
    fits = passwords.fits(login.password_hash if login else None, form.get("password", ""))
    if login is None or not fits:
        with app.db.write(ANY) as tx:
            users.note_failure(tx, keys, now)
        return _form(request, next, email, _REFUSED, 403)
    with app.db.write(ANY) as tx:
        users.forget_failures(tx, keys[0])
    response = render.see_other(request, render.local_path(next))
    auth.start(request, response, login.user_id, login.workspace)
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    """End this session."""
    response = render.see_other(request, "/login")
    auth.end(request, response)
    return response


@router.post("/preferences")
def prefer(request: Request, form: Annotated[Form, Depends(sent)]) -> Response:
    """Remember light or dark, and whether single keys act, in this browser."""
    response = render.see_other(request, render.local_path(form.get("back", "")))
    for name, allowed in _PREFERENCES.items():
        value = form.get(name)
        if value in allowed:
            response.set_cookie(f"mercuri_{name}", str(value), max_age=_YEAR, samesite="lax", httponly=True, path="/")
    return response
