"""Webhooks: events of the portal as HubSpot posts them, signed (v3), in batches, unordered, repeated, retried."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import httpx

from mercuri.sandbox.answers import encode
from mercuri.sandbox.portal import Portal
from mercuri.sandbox.records import Event

MOST_EVENTS = 100
_ANSWER_WITHIN_S = 5.0
_MOST_RETRIES = 10
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip


def sign_v3(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """The `X-HubSpot-Signature-v3` of one call (developers.hubspot.com, "Validating requests")."""
    plain = re.sub("|".join(_DECODED), lambda each: _DECODED[each.group().upper()], url, flags=re.IGNORECASE)
    message = method.encode() + plain.encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


class Webhooks:
    """Collects events while there is a target, and posts them when told to `deliver` or from a thread."""

    def __init__(self, portal: Portal, now_ms: Callable[[], int], app_id: int, secret: str, rng: Random) -> None:
        self._portal = portal
        self._now_ms = now_ms
        self._app_id = app_id
        self._secret = secret
        self._rng = rng
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._queue: list[dict[str, Any]] = []
        self._worker: threading.Thread | None = None
        self.target = ""
        portal.listeners.append(self.hear)

    def hear(self, event: Event) -> None:
        """Keep an event for the target, if there is one and its kind is posted."""
        if not self.target:
            return
        with self._wake:
            self._queue.append(self._body(event))
            self._wake.notify()

    def aim(self, target: str) -> None:
        """Post to this URL from now on ("" stops), from a thread of its own."""
        self.target = target
        if target and self._worker is None:
            self._worker = threading.Thread(target=self._run, name="sandbox-webhooks", daemon=True)
            self._worker.start()

    def take(self) -> list[list[dict[str, Any]]]:
        """The calls that are due, and forget them: batches of up to 100, by the switch out of order and some twice."""
        with self._lock:
            events, self._queue = self._queue, []
        if self._portal.switches.webhook_disorder:
            events = events + [{**each, "attemptNumber": 1} for each in events if self._rng.random() < 0.05]
            self._rng.shuffle(events)
        return [events[start : start + MOST_EVENTS] for start in range(0, len(events), MOST_EVENTS)]

    def signed(self, events: list[dict[str, Any]], timestamp_ms: int) -> tuple[dict[str, str], bytes]:
        """Headers and body of one call."""
        body = encode(events)
        timestamp = str(timestamp_ms)
        return {
            "content-type": "application/json",
            "x-hubspot-signature-v3": sign_v3(self._secret, "POST", self.target, body, timestamp),
            "x-hubspot-request-timestamp": timestamp,
            "x-hubspot-signature": hashlib.sha256(self._secret.encode() + body).hexdigest(),
            "x-hubspot-signature-version": "v1",
        }, body

    def _run(self) -> None:
        with httpx.Client(timeout=_ANSWER_WITHIN_S) as client:
            while True:
                with self._wake:
                    while not self._queue:
                        self._wake.wait()
                for events in self.take():
                    self._post(client, events)

    def _post(self, client: httpx.Client, events: list[dict[str, Any]]) -> None:
        """Post one batch; what fails comes again with the next attempt number, at most ten times."""
        target = self.target
        if not target:
            return
        headers, body = self.signed(events, self._now_ms())
        try:
            accepted = client.post(target, content=body, headers=headers).is_success
        except httpx.HTTPError:
            accepted = False
        if not accepted:
            self._later(
                [
                    {**each, "attemptNumber": each["attemptNumber"] + 1}
                    for each in events
                    if each["attemptNumber"] < _MOST_RETRIES
                ]
            )

    def _later(self, events: list[dict[str, Any]]) -> None:
        def again() -> None:
            with self._wake:
                self._queue.extend(events)
                self._wake.notify()

        if events:
            timer = threading.Timer(self._rng.uniform(0.1, 0.5) * (1 + events[0]["attemptNumber"]), again)
            timer.daemon = True
            timer.start()

    def _body(self, event: Event) -> dict[str, Any]:
        body: dict[str, Any] = {
            "eventId": self._rng.randrange(1, 1 << 32),
            "subscriptionId": 1000 + len(event.kind),
            "portalId": self._portal.portal_id,
            "appId": self._app_id,
            "occurredAt": event.at_ms,
            "subscriptionType": f"contact.{event.kind}",
            "attemptNumber": 0,
            "objectId": event.record_id,
            "changeSource": event.author.source,
            **event.more,
        }
        if event.author.source_id:
            body["sourceId"] = event.author.source_id
        if event.kind in ("creation", "deletion"):
            body["changeFlag"] = {"creation": "CREATED", "deletion": "DELETED"}[event.kind]
        if event.kind == "propertyChange":
            body |= {"propertyName": event.name, "propertyValue": event.value}
        return body
