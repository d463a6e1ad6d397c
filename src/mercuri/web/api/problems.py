"""Errors -> problem documents (RFC 9457). The one table of this edge, and the route that applies it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException  # what the framework raises itself; FastAPI's is a kind of it

from mercuri import errors
from mercuri.core.contact import Contact as CoreContact
from mercuri.core.settings import SettingRefused
from mercuri.engine.grouping import GroupView
from mercuri.store.runs import Run as StoredRun
from mercuri.web.api.duplicate_models import GroupOut
from mercuri.web.api.models import Contact, Problem, Run

log = structlog.get_logger()

#: The first line that fits decides: error, status, title.
TABLE: tuple[tuple[type[errors.AppError], int, str], ...] = (
    (errors.NotFound, 404, "Not found"),
    (errors.Clash, 409, "Changed meanwhile"),
    (errors.Forbidden, 403, "Not allowed"),
    (errors.SafetyStop, 409, "Stopped by a safety brake"),
    (SettingRefused, 422, "Setting refused"),
    (errors.UserError, 400, "Not possible"),
    (errors.RateLimited, 429, "HubSpot's limit is used up"),
    (errors.Unavailable, 503, "HubSpot does not answer"),
    (errors.Unauthorised, 400, "HubSpot refused the connection"),
    (errors.MissingScope, 400, "HubSpot refused the connection"),
    (errors.HubSpotError, 502, "HubSpot refused"),
    (errors.AppError, 500, "Something went wrong"),
)
#: Documented once for every route.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "model": Problem,
        "description": "A problem document (RFC 9457)",
        "content": {"application/problem+json": {}},
    }
}
_TITLES = {401: "Login needed", 403: "Not allowed", 404: "Not found", 405: "Not possible", 410: "Gone"}


class ApiProblem(Exception):
    """A refusal that only this edge knows: a missing login, a failed precondition, an id that was merged away."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        present: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(title=title, status=status, detail=detail, present=shown(present))
        self.headers = dict(headers or {})


class ProblemRoute(APIRoute):
    """A route whose errors are problem documents, whatever the rest of the application does with its own.

    A parameter of the address without a value (`?q=ana&cursor=`) counts as not given.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with the table around it."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            request.scope["query_string"] = _given(request.scope["query_string"])
            try:
                return await handle(request)
            except (ApiProblem, errors.AppError, RequestValidationError, HTTPException) as error:
                return problem_of(error)
            except Exception:  # the edge: recorded, and answered without a trace
                log.exception("api.failed", method=request.method, route=self.path)
                return _answer(Problem(title="Something went wrong", status=500, detail=_UNEXPECTED))

        return guarded


def _given(query: bytes) -> bytes:
    """The parameters that have a value. Latin-1 stands for bytes as they are."""
    pairs = parse_qsl(query.decode("latin-1"), encoding="latin-1")
    return urlencode(pairs, encoding="latin-1").encode()


_UNEXPECTED = "The request failed unexpectedly and was undone. The server's log has the details."

_UNREADABLE = (
    "The body cannot be read. Nothing was changed. Send it once more: JSON is text in UTF-8, and is not nested deeply."
)


def problem_of(error: Exception) -> Response:
    """The problem document of an error that was raised on purpose."""
    if isinstance(error, ApiProblem):
        return _answer(error.problem, error.headers)
    if isinstance(error, RequestValidationError):
        return _answer(_invalid(error))
    if isinstance(error, HTTPException) and error.status_code == 400 and error.__cause__ is not None:
        # The framework wraps whatever it met while it read the body, and says no more than that.
        return _answer(Problem(title="Invalid request", status=400, detail=_UNREADABLE))
    if isinstance(error, HTTPException):
        title = _TITLES.get(error.status_code, "Not possible")
        return _answer(
            Problem(title=title, status=error.status_code, detail=str(error.detail)), dict(error.headers or {})
        )
    assert isinstance(error, errors.AppError), error
    status, title = next((status, title) for kind, status, title in TABLE if isinstance(error, kind))
    headers = {"Retry-After": str(max(1, round(error.retry_after)))} if isinstance(error, errors.RateLimited) else {}
    present = shown(error.present) if isinstance(error, errors.Clash) else None
    return _answer(Problem(title=title, status=status, detail=error.message, present=present), headers)


def shown(present: object) -> object:
    """A thing of the program in the form of the API."""
    if isinstance(present, CoreContact):
        return Contact.of(present).model_dump(mode="json")
    if isinstance(present, GroupView):
        return GroupOut.of(present).model_dump(mode="json")
    if isinstance(present, StoredRun):
        return Run.model_validate(present).model_dump(mode="json")
    return present if isinstance(present, (str, int, dict)) else None


def _invalid(error: RequestValidationError) -> Problem:
    """Places and reasons, never the values that were sent."""
    items: list[dict[str, object]] = [
        {"where": ".".join(str(part) for part in item["loc"]), "why": item["msg"]} for item in error.errors()
    ]
    detail = "; ".join(f"{item['where']}: {item['why']}" for item in items[:5])
    return Problem(title="Invalid request", status=422, detail=detail, errors=items)


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        status_code=problem.status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )
