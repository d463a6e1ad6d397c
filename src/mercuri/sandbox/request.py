"""One call as the endpoints see it, and the checks of its body that all share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from mercuri.sandbox.answers import Refusal, invalid
from mercuri.sandbox.oauth import Token


@dataclass(frozen=True, slots=True)
class Request:
    """A call with its token; `version` is the one its path spells (`2026-09`, `2026-03`, `v3`, ...)."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    token: Token | None = None
    version: str = ""
    public_url: str = ""
    rest: tuple[str, ...] = field(default=())

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises Refusal (415 or 400) when it is something else.
        """
        if "application/json" not in self.headers.get("content-type", ""):
            raise Refusal(415, {"status": "error", "message": "Unsupported Media Type"})
        try:
            value = json.loads(self.body)
        except ValueError:
            raise invalid("Invalid input JSON on line 1, column 1: unreadable") from None
        if not isinstance(value, dict):
            raise invalid("Invalid input JSON on line 1, column 1: an object is needed")
        return value

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false."""
        return self.params.get(name, "").lower() == "true"

    def names(self, name: str) -> list[str]:
        """A comma-separated query parameter."""
        return [each for each in self.params.get(name, "").split(",") if each]


def sent_properties(item: Mapping[str, Any]) -> dict[str, str]:
    """The `properties` of a write as text; numbers and booleans are taken, as Jackson does.

    Raises Refusal for null, lists, objects and a missing map.
    """
    properties = item.get("properties")
    if not isinstance(properties, dict):
        raise invalid("Some required fields were not set: [properties]")
    return {name: _as_text(name, value) for name, value in properties.items()}


def inputs_of(body: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """The `inputs` of a batch.

    Raises Refusal when there are none, more than `most`, or they are no objects.
    """
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
        raise invalid("Some required fields were not set: [inputs]")
    if not inputs:
        raise invalid("inputs must not be empty")
    if len(inputs) > most:
        raise invalid(f"Batch size is greater than the maximum of {most}")
    return inputs


def refuse_duplicates(ids: list[str]) -> None:
    """Equal ids in one batch refuse the whole request, trace ids or not."""
    seen: set[str] = set()
    twice = [each for each in ids if each in seen or seen.add(each)]  # type: ignore[func-returns-value]
    if twice:
        listed = list(dict.fromkeys(twice))
        raise invalid(
            f"Duplicate IDs found in batch input: [{', '.join(listed)}]. IDs must be unique", context={"ids": listed}
        )


def texts_of(body: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts in a body; absent is empty."""
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid(f"Invalid input JSON: {name} must be a list of strings")
    return value


def text_of(body: Mapping[str, Any], name: str) -> str:
    """A text (or a number, as text) that has to be there."""
    value = body.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise invalid(f"Some required fields were not set: [{name}]")
    return value


def whole(text: str) -> int | None:
    """A whole number such as a record id, an offset or a limit; None for what cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _as_text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise invalid(f"Invalid input JSON: Cannot deserialize the value of property {name} as a string")
