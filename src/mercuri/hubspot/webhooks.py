"""HubSpot's calls: is it HubSpot, and what does it hint at (webhooks guide 2026-09).

An event is a hint to look, never a value to take: events come late, twice, in any order, or not at all.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mercuri.core.contact import RecordId
from mercuri.hubspot.wire import moment, text

#: How old a signed call may be; an older one may be a replay.
WINDOW = timedelta(minutes=5)

#: What HubSpot decodes in the address before it signs, and nothing else.
_DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}


class Verdict(enum.Enum):
    """Whether a call is HubSpot's, and why not."""

    GENUINE = "genuine"
    UNSIGNED = "it carries no signature we know"
    STALE = "its timestamp is more than five minutes from now"
    FORGED = "its signature does not match"

    def __bool__(self) -> bool:
        return self is Verdict.GENUINE


class HintKind(enum.Enum):
    """What an event says happened to a record."""

    CREATED = "creation"
    DELETED = "deletion"
    CHANGED = "propertyChange"
    MERGED = "merge"
    RESTORED = "restore"
    ERASED = "privacyDeletion"


@dataclass(frozen=True, slots=True)
class Hint:
    """A reason to look at records again. The value that changed is left behind on purpose.

    `object_id` is the record; a merge also tells `primary_id`, `merged_ids` and `new_id`, any of which may be the
    survivor. `source_id` is the app's id for a write by an app (`change_source` INTEGRATION): it ranks work, and
    proves nothing.
    """

    portal_id: str
    kind: HintKind
    object_id: RecordId
    primary_id: RecordId | None = None
    merged_ids: tuple[RecordId, ...] = ()
    new_id: RecordId | None = None
    property: str = ""
    occurred_at: datetime | None = None
    change_source: str = ""
    source_id: str = ""

    def record_ids(self) -> tuple[RecordId, ...]:
        """Every record the event names, each once."""
        named = (self.new_id, self.primary_id, self.object_id, *self.merged_ids)
        return tuple(dict.fromkeys(key for key in named if key))


def verify(
    secret: str,
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    *,
    versions: tuple[str, ...] = ("v3",),
) -> Verdict:
    """Check a call's signature; `url` is the public address it was sent to, `body` the raw bytes.

    Only v3 is protected against replay, so the older v2 and v1 count only where `versions` names them.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if "v3" in versions and "x-hubspot-signature-v3" in given:
        return _verify_v3(secret, method, url, body, given, now)
    version = given.get("x-hubspot-signature-version", "v1")
    if version not in versions or version == "v3" or "x-hubspot-signature" not in given:
        return Verdict.UNSIGNED
    signed = secret.encode() + ((method.upper() + url).encode() if version == "v2" else b"") + body
    return _same(hashlib.sha256(signed).hexdigest(), given["x-hubspot-signature"])


def sign_v3(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """The v3 signature of a call; `timestamp` is milliseconds since the epoch, as sent."""
    signed = (method.upper() + decode_url(url)).encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def decode_url(url: str) -> str:
    """An address as HubSpot signs it: a fixed list of escapes is decoded, the rest stays.

    >>> decode_url("https://a.example/hook?who=ana%40b.example&x=%3D")
    'https://a.example/hook?who=ana@b.example&x=%3D'
    """
    for escape, plain in _DECODED.items():
        url = url.replace(escape, plain).replace(escape.lower(), plain)
    return url


def parse(body: bytes) -> list[Hint]:
    """The hints of a call, in the order sent; events of unknown kinds and other objects are left out.

    Raises ValueError when the body is no list of events at all.
    """
    events = json.loads(body)
    if not isinstance(events, list):
        raise ValueError("a webhook body is a list of events")
    return [hint for event in events if isinstance(event, dict) if (hint := _hint(event)) is not None]


def _verify_v3(secret: str, method: str, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Verdict:
    timestamp = headers.get("x-hubspot-request-timestamp", "")
    sent_at = moment(timestamp) if timestamp.isdecimal() else None
    if sent_at is None:
        return Verdict.UNSIGNED
    if abs(now - sent_at) > WINDOW:
        return Verdict.STALE
    return _same(sign_v3(secret, method, url, body, timestamp), headers["x-hubspot-signature-v3"])


def _same(ours: str, theirs: str) -> Verdict:
    return Verdict.GENUINE if hmac.compare_digest(ours.encode(), theirs.encode()) else Verdict.FORGED


def _hint(event: Mapping[str, Any]) -> Hint | None:
    spoken = text(event.get("subscriptionType") or event.get("eventType"))
    of, _, kind = spoken.partition(".")
    ours = of == "contact" or (of == "object" and event.get("objectTypeId") == "0-1")
    if not ours or kind not in {known.value for known in HintKind} or event.get("objectId") is None:
        return None
    merged = event.get("mergedObjectIds")
    return Hint(
        portal_id=text(event.get("portalId")),
        kind=HintKind(kind),
        object_id=RecordId(text(event["objectId"])),
        primary_id=_id(event.get("primaryObjectId")),
        merged_ids=tuple(RecordId(text(key)) for key in merged) if isinstance(merged, list) else (),
        new_id=_id(event.get("newObjectId")),
        property=text(event.get("propertyName")),
        occurred_at=moment(event.get("occurredAt")),
        change_source=text(event.get("changeSource")),
        source_id=text(event.get("sourceId")),
    )


def _id(value: object) -> RecordId | None:
    return RecordId(text(value)) if value else None
