"""Words of consent in a world: a person whose record speaks, what they say, and what may be sent."""

from __future__ import annotations

from typing import Any

from tests.support.world import OWNER, PORTAL, World

from mercuri.engine import consent

PHONE = "+14155552671"
MAPPED: list[dict[str, Any]] = [{"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"}]


def a_person(world: World, opt_in: str = "true", **properties: str) -> str:
    """A record of Ana, synced; HubSpot says `opt_in` of her phone."""
    world.settings(two_way=False, consent_mapping=MAPPED)
    record = world.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_opt_in": opt_in, **properties})
    world.sync()
    return record


def label(world: World, record: str) -> str:
    return world.of_record(record).subscription_status


def says(world: World, text: str, address: str = PHONE, **more: Any) -> consent.Recorded:
    world.clock.advance(60)
    return consent.record(world.app, world.ws, "sms", address, "message", OWNER, text=text, **more)


def push(world: World) -> int:
    return consent.push_outs(world.app, world.ws, PORTAL)


def sendable(world: World, address: str = PHONE) -> bool:
    return consent.check(world.app, world.ws, "sms", [address])[0].sendable
