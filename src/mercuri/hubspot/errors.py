"""HubSpot's refusals in words: from an error body to our errors, and from an error to a sentence and a way out.

The status decides; every field of a body may be missing (HubSpot error-handling page; recorded answers).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mercuri.core.properties import Property
from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, RateLimited, Unauthorised, Unavailable

#: Seconds to wait after a 429 that does not say how long, by policy; also the longest period it can mean.
SECONDLY, TEN_SECONDLY, DAILY = 1.0, 10.0, 3600.0
#: Seconds a locked account (423) stays locked (HubSpot error-handling page).
LOCKED = 2.0
#: Seconds to park a portal that moves between data centres (477) without saying for how long.
MOVING = 3600.0
#: HubSpot's code for a property that it does not have.
GONE = "PROPERTY_DOESNT_EXIST"
#: Most options of a property that a sentence lists.
OPTIONS = 12
#: Most characters of an answer that are kept to be shown on demand.
RAW = 4000

_EXISTING = re.compile(r"Existing ID:\s*(\d+)")
_SCOPE = re.compile(r"requires (?:one|all) of \[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why HubSpot did not take one value, and what a person can do. `property` is empty when it names none."""

    property: str
    code: str
    message: str
    fix: str


def from_answer(
    status: int, body: Any, headers: Mapping[str, str], *, raw: str, portal: str, needs: tuple[str, ...] = ()
) -> HubSpotError:
    """The error that an answer of 400 or more stands for; `needs` are the call's scopes, named when it names none."""
    fields = body if isinstance(body, dict) else {}
    facts: dict[str, Any] = {
        "status": status,
        "correlation_id": str(fields.get("correlationId") or ""),
        "portal": portal,
    }
    if status == 401:
        return Unauthorised("HubSpot no longer accepts this portal's token. Connect the portal again.", **facts)
    if status == 403:
        scopes = _scopes(fields) or needs
        named = f": {', '.join(scopes)}" if scopes else ""
        return MissingScope(f"HubSpot does not let our app do this. Missing permission{named}.", scopes=scopes, **facts)
    if status == 404 and (body is not None or not raw.strip()):
        return NotThere("HubSpot knows no such record or property.", **facts)
    if status in {423, 429, 477}:
        return _limited(status, fields, headers, facts)
    # A 404 in words that are no JSON is not HubSpot speaking, and must not pass for the absence of a record.
    if status >= 500 or status == 404:
        return Unavailable(f"HubSpot could not answer ({status}).", **facts)
    message = str(fields.get("message") or "")
    return BadRequest(_summary(status, fields), raw=raw[:RAW], existing_id=existing_id(message), **facts)


def from_fault(category: str, message: str, raw: Mapping[str, Any], existing: str | None, portal: str) -> HubSpotError:
    """The error that one entry of a 207 stands for."""
    facts = {"portal": portal, "correlation_id": ""}
    if category == "OBJECT_NOT_FOUND":
        return NotThere("HubSpot knows no such record.", status=404, **facts)
    conflict = category == "CONFLICT" or existing is not None
    status = 409 if conflict else 400
    return BadRequest(
        _summary(status, raw),
        raw=json.dumps(raw, ensure_ascii=False)[:RAW],
        existing_id=existing or existing_id(message),
        status=status,
        **facts,
    )


def existing_id(message: str) -> str | None:
    """The id of the record that stands in the way, when a conflict names it.

    >>> existing_id("Contact already exists. Existing ID: 12345")
    '12345'
    """
    found = _EXISTING.search(message)
    return found.group(1) if found else None


def refusals(error: HubSpotError) -> tuple[Refusal, ...]:
    """Every value HubSpot did not take, as far as its answer says; empty for other errors."""
    if not isinstance(error, BadRequest):
        return ()
    try:
        body = json.loads(error.raw)
    except ValueError:
        body = {}
    found = {(name, code): text for name, code, text in _items(body if isinstance(body, dict) else {})}
    return tuple(_refusal(name, code, text) for (name, code), text in found.items())


def explain(error: HubSpotError, known: Callable[[str], Property | None] = lambda name: None) -> Refusal:
    """One plain sentence about any error of HubSpot's, and what to do about it.

    A property that is `known` by its name is called by its label, and a refused choice comes with the possible ones.
    """
    first = next(iter(refusals(error)), None)
    if first is not None:
        return _refusal(first.property, first.code, "", known(first.property))
    if isinstance(error, BadRequest) and error.status == 409:
        return Refusal(
            "",
            "CONFLICT",
            "HubSpot already has a record with this e-mail or id.",
            "Merge the two, or change one of them.",
        )
    code, fix = _GENERAL.get(
        type(error), ("BAD_REQUEST", "Look at HubSpot's answer, then edit the contact or the mapping.")
    )
    return Refusal("", code, error.message, fix)


_GENERAL: dict[type[HubSpotError], tuple[str, str]] = {
    RateLimited: ("RATE_LIMITS", "Nothing to do: it is tried again when HubSpot allows it."),
    Unavailable: ("UNAVAILABLE", "Nothing to do: it is tried again."),
    Unauthorised: ("UNAUTHORISED", "Connect the portal again."),
    MissingScope: ("MISSING_SCOPES", "Connect the portal again and grant the permission."),
    NotThere: ("OBJECT_NOT_FOUND", "It was deleted or merged in HubSpot: run a full sync."),
}

_WORDS = {
    "INVALID_OPTION": (
        "is not one of its choices in HubSpot",
        "Add the choice in HubSpot, or pick one that exists.",
    ),
    "INVALID_EMAIL": ("is not an e-mail address to HubSpot", "Correct the e-mail."),
    "INVALID_DATE": ("is not a date HubSpot takes", "Correct the date."),
    "INVALID_INTEGER": ("is not a whole number", "Correct the number."),
    "INVALID_LONG": ("is not a whole number", "Correct the number."),
    "INVALID_NUMBER": ("is not a number", "Correct the number."),
    GONE: (
        "does not exist in HubSpot",
        "Create it in HubSpot, or change the mapping.",
    ),
    "READ_ONLY_VALUE": ("cannot be written: HubSpot computes it", "Map this field from HubSpot only."),
    "MISSING_REQUIRED_PROPERTY": ("is missing: this HubSpot account requires it", "Fill it in, or map it."),
    "MISSING_CONDITIONAL_REQUIRED_PROPERTY": (
        "is missing: HubSpot requires it here",
        "Fill it in, or map it.",
    ),
}


def _refusal(name: str, code: str, text: str, known: Property | None = None) -> Refusal:
    if code not in _WORDS and "calculated property" in text:
        code = "READ_ONLY_VALUE"
    words, fix = _WORDS.get(code, ("was refused by HubSpot", "Look at HubSpot's answer, then correct the value."))
    called = f"“{known.label}”" if known else name
    subject = f"The value of {called}" if name else "A value"
    if code == GONE:
        subject = f"The property {called}" if name else "A property"
        words = "no longer exists in HubSpot" if known else words
    if code == "INVALID_OPTION" and known is not None and known.options:
        fix = f"Options: {_offered(known)}. {fix}"
    return Refusal(name, code, f"{subject} {words}.", fix)


def _offered(of: Property) -> str:
    labels = [option.label for option in of.options if not option.hidden]
    return ", ".join(labels[:OPTIONS]) + (", …" if len(labels) > OPTIONS else "")


def _items(body: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Property, code and text of each complaint: those inside `message` first, since `errors` may hold fewer."""
    message = str(body.get("message") or "")
    try:
        inner = json.loads(message[message.index("[") : message.rindex("]") + 1])
    except ValueError:
        inner = []
    for item in inner if isinstance(inner, list) else ():
        if isinstance(item, dict):
            yield str(item.get("name") or ""), str(item.get("error") or ""), str(item.get("message") or "")
    errors = body.get("errors")
    for item in errors if isinstance(errors, list) else ():
        if isinstance(item, dict):
            yield from _entry(item)


def _entry(item: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    context = item.get("context")
    names = context.get("propertyName") if isinstance(context, dict) else None
    for name in names if isinstance(names, list) else [names or item.get("in") or ""]:
        if item.get("code") or name:
            yield str(name), str(item.get("code") or ""), str(item.get("message") or "")


def _limited(status: int, fields: Mapping[str, Any], headers: Mapping[str, str], facts: dict[str, Any]) -> RateLimited:
    said = headers.get("retry-after", "").strip()
    told = float(said) if said.replace(".", "", 1).isdecimal() else None
    if status != 429:
        wait = LOCKED if status == 423 else MOVING
        return RateLimited(f"HubSpot asked us to wait ({status}).", retry_after=max(told or wait, LOCKED), **facts)
    wait = _policy_wait(str(fields.get("message") or ""), str(fields.get("policyName") or ""))
    message = "HubSpot's request limit is used up."
    return RateLimited(message, retry_after=wait if told is None else told, daily=wait == DAILY, **facts)


def _policy_wait(*hints: str) -> float:
    """By the text first, since search names no policy; the ten-second limit when nothing is said."""
    for hint in map(str.lower, hints):
        for word, wait in (("daily", DAILY), ("ten_secondly", TEN_SECONDLY), ("secondly", SECONDLY)):
            if word in hint:
                return wait
    return TEN_SECONDLY


def _scopes(fields: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    errors = fields.get("errors")
    for item in errors if isinstance(errors, list) else ():
        context = item.get("context") if isinstance(item, dict) else None
        for name in ("requiredGranularScopes", "requiredScopes"):
            scopes = context.get(name) if isinstance(context, dict) else None
            found += [str(scope) for scope in scopes] if isinstance(scopes, list) else []
    written = _SCOPE.search(str(fields.get("message") or ""))
    found += [scope.strip() for scope in written.group(1).split(",")] if written else []
    return tuple(dict.fromkeys(scope for scope in found if scope))


def _summary(status: int, fields: Mapping[str, Any]) -> str:
    """What went wrong by names and codes alone: HubSpot's own text may repeat a contact's value."""
    if status == 409:
        return "HubSpot already has a record with this e-mail or id."
    if status == 414:
        return "HubSpot found the request too large."
    named = sorted({f"{name} ({code})" if code else name for name, code, _ in _items(fields) if name})
    return f"HubSpot refused {', '.join(named)}." if named else f"HubSpot refused the request ({status})."
