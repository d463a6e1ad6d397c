"""HubSpot's events as hints: lost, repeated, out of order, late, of kinds that nobody knows and of strange portals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.property.machine import running
from tests.property.machine.histories import Step
from tests.property.machine.life import Life
from tests.support.world import PORTAL

from mercuri.engine import hints, inbox
from mercuri.hubspot.webhooks import parse
from mercuri.sandbox.answers import encode
from mercuri.store import runs

_STRANGE: Sequence[Any] = (
    {"portalId": 4242, "subscriptionType": "contact.greeting", "objectId": 1},
    {"portalId": 4242, "subscriptionType": "deal.deletion", "objectId": 1},
    {"portalId": 4242, "subscriptionType": "contact.deletion"},
    {"portalId": 4711, "subscriptionType": "contact.deletion", "objectId": 1},
    {"portalId": 4242, "subscriptionType": "contact.deletion", "objectId": 999_999},
    "hello",
)


def begin(life: Life) -> None:
    """HubSpot keeps its events for us."""
    life.world.sandbox.webhooks.target = "https://mercuri.test/webhooks/hubspot"
    life.at_rest.append(_again)


def hint(life: Life, step: Step) -> None:
    """HubSpot calls, and what it hints at is looked at."""
    new = [event for call in life.world.sandbox.webhooks.take() for event in call]
    life.events += new
    _note(life, {"lost": new[::2], "twice": [*new, *reversed(new)], "old": life.events}.get(step.value, new))
    if life.asked is None:
        hints.look(life.world.app, life.world.ws)
        with life.world.app.db.read(life.world.ws) as tx:
            life.asked = runs.live(tx, PORTAL)
    if life.asked is not None:
        running.go(life, running.ask(life), step.at)


def _note(life: Life, events: Sequence[Any]) -> None:
    inbox.accept(life.world.app, parse(encode([*events, *_STRANGE])))
    inbox.take_in(life.world.app)


def _again(life: Life) -> None:
    """Every event that ever was comes once more."""
    life.events += [event for call in life.world.sandbox.webhooks.take() for event in call]
    _note(life, life.events)
    running.quiet(life, "I9 events that come again change nothing")
