"""What goes back over the wire: answers, and refusals in HubSpot's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json;charset=utf-8"}
HTML_HEADERS: Mapping[str, str] = {"content-type": "text/html;charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer.

    `fate` tells what becomes of it on the way: "" arrives; "cut" the connection closes and nothing arrives;
    "truncated" half of the body arrives; "timeout" nothing ever does.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fate: str = ""


class Refusal(Exception):
    """A request that is answered with an error; `body` is HubSpot's error object without its correlation id."""

    def __init__(
        self,
        status: int,
        body: dict[str, Any],
        headers: Mapping[str, str] | None = None,
        existing_id: int | None = None,
    ) -> None:
        super().__init__(f"{status}")
        self.existing_id = existing_id
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


#: Compact JSON as text.
to_text = json.JSONEncoder(separators=(",", ":"), check_circular=False, ensure_ascii=False).encode


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8; half a surrogate pair becomes its escape."""
    return to_text(value).encode("utf-8", "backslashreplace")


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    return Answer(status, {**JSON_HEADERS, **(headers or {})}, encode(value))


def html_answer(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A page."""
    return Answer(status, {**HTML_HEADERS, **(headers or {})}, text.encode())


def redirect(url: str) -> Answer:
    """Send the browser elsewhere with a GET."""
    return Answer(303, {"location": url})


def invalid(message: str, *, status: int = 400, **more: Any) -> Refusal:
    """A `VALIDATION_ERROR`."""
    return Refusal(status, {"status": "error", "message": message, "category": "VALIDATION_ERROR", **more})


def not_found(message: str = "resource not found") -> Refusal:
    """A 404 of one record or property."""
    return Refusal(404, {"status": "error", "message": message, "category": "OBJECT_NOT_FOUND"})


def no_such_route() -> Refusal:
    """A 404 for a path nobody serves; it has no category."""
    return Refusal(404, {"status": "error", "message": "Unable to find the requested resource"})


def conflict(message: str, existing_id: int | None = None) -> Refusal:
    """A 409 `CONFLICT`; `existing_id` is known to the sandbox, and only a batch tells it in the context."""
    return Refusal(409, {"status": "error", "message": message, "category": "CONFLICT"}, existing_id=existing_id)


def missing_scopes(scopes: tuple[str, ...], *, static: bool) -> Refusal:
    """The 403 of a scope that was not granted; by OAuth it has no category (captures)."""
    if not static:
        needs = ", ".join(scopes)
        return Refusal(
            403,
            {
                "status": "error",
                "message": f"You do not have permissions to use this resource (requires one of [{needs}])",
            },
        )
    return Refusal(
        403,
        {
            "status": "error",
            "message": "This app hasn't been granted all required scopes to make this call.",
            "errors": [
                {
                    "message": "One or more of the following scopes are required.",
                    "context": {"requiredGranularScopes": list(scopes)},
                }
            ],
            "links": {"scopes": "https://developers.hubspot.com/scopes"},
            "category": "MISSING_SCOPES",
        },
    )
