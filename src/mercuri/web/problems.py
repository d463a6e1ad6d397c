"""What went wrong -> a status, and a page, a toast or a problem document (RFC 9457). The only place that translates."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from mercuri.errors import (
    AppError,
    Clash,
    Forbidden,
    HubSpotError,
    MissingScope,
    NotFound,
    RateLimited,
    SafetyStop,
    Unauthorised,
    UserError,
)
from mercuri.store.database import Busy
from mercuri.web import render

log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
#: First match counts, so the narrow ones stand first.
_STATUS: tuple[tuple[type[AppError], int, str], ...] = (
    (NotFound, 404, "Not found"),
    (Clash, 409, "It changed meanwhile"),
    (Forbidden, 403, "Not allowed"),
    (SafetyStop, 409, "Stopped before any harm"),
    (Busy, 503, "Busy"),
    (UserError, 422, "That did not work"),
    (RateLimited, 503, "HubSpot's limit is used up"),
    (Unauthorised, 409, "HubSpot must be connected again"),
    (MissingScope, 409, "HubSpot did not grant what this needs"),
    (HubSpotError, 502, "HubSpot did not do it"),
    (AppError, 500, "That did not work"),
)


class NeedsLogin(AppError):
    """Nobody is logged in; the page leads to the login and back."""


class NeedsSetup(AppError):
    """The program has no user yet; every page leads to the first set-up."""


def status_of(error: AppError) -> tuple[int, str]:
    """The HTTP status of an error, and its title."""
    return next((status, title) for kind, status, title in _STATUS if isinstance(error, kind))


def problem(status: int, title: str, detail: str, **more: object) -> JSONResponse:
    """A problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, media_type=PROBLEM)


def install(app: FastAPI) -> None:
    """Let every error of the app end in a fitting answer."""
    app.add_exception_handler(NeedsLogin, _to_login)
    app.add_exception_handler(NeedsSetup, _to_setup)
    app.add_exception_handler(AppError, _expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def answer(request: Request, status: int, title: str, detail: str, **more: object) -> Response:
    """The fitting answer for who asks: a document for a program, a toast for htmx, a page for a person."""
    if request.url.path.startswith("/api"):
        return problem(status, title, detail, **more)
    if render.is_htmx(request):
        response: Response = render.page(request, "parts/toast.html", status=status, text=detail, tone="bad", undo="")
        response.headers["HX-Retarget"] = "#toasts"
        response.headers["HX-Reswap"] = "beforeend"
        return response
    return render.page(request, "error.html", status=status, title=title, detail=detail, code=status)


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    status, title = status_of(error)
    response = answer(request, status, title, error.message)
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return response


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    details = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    detail = details.get(error.status_code, str(error.detail)) if error.detail == title else str(error.detail)
    response = answer(request, error.status_code, title, detail)
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The input itself stays out of the answer: it may hold a secret, and is of any size.
    found = [{"where": "/".join(map(str, item["loc"])), "what": item["msg"]} for item in error.errors()]
    first = f"{found[0]['where']}: {found[0]['what']}" if found else "The request cannot be read."
    return answer(request, 422, "The request cannot be read", first, errors=found)


async def _unexpected(request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(4)
    log.error("request failed", path=request.url.path, method=request.method, reference=reference, exc_info=error)
    detail = f"Something broke on our side; what you sent was not saved. The log tells more under {reference}."
    return answer(request, 500, "Something broke", detail)


async def _to_login(request: Request, error: Exception) -> Response:
    if request.url.path.startswith("/api"):
        return problem(401, "Log in first", "This needs a bearer token.")
    back = render.local_path(_path(request))
    return _go(request, f"/login?next={quote(back)}")


async def _to_setup(request: Request, error: Exception) -> Response:
    return _go(request, "/setup")


def _go(request: Request, address: str) -> Response:
    if render.is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def _path(request: Request) -> str:
    """The page that the person is on, without the site."""
    if render.is_htmx(request):
        on = urlsplit(request.headers.get("HX-Current-URL", ""))
        return f"{on.path}?{on.query}" if on.query else on.path
    if request.method != "GET":
        return "/contacts"
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
