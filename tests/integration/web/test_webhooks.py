"""HubSpot's calls as the web app answers them: signed by the sandbox, which does it in a way of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.web import HOST, Site, a_site

from mercuri.core.contact import PortalId
from mercuri.core.settings import DEFAULTS
from mercuri.engine import inbox
from mercuri.store import outbox, portals
from mercuri.store.portals import Portal

SECRET = "the app's secret"
PORTAL = PortalId("4242")
ADDRESS = "/webhooks/hubspot"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose portal is connected, with an app that HubSpot calls."""
    with a_site(tmp_path, hubspot_client_id="app", hubspot_client_secret=SECRET) as made:
        with made.services.app.db.write(made.services.default_workspace) as tx:
            portals.add(tx, Portal(PORTAL, "Ours", "oauth", settings=DEFAULTS), None, made.clock.now())
        yield made


def event(kind: str = "propertyChange", record: int = 51, **more: Any) -> dict[str, Any]:
    body = {"eventId": 1, "subscriptionId": 2, "portalId": int(PORTAL), "appId": 3, "attemptNumber": 0}
    return {**body, "subscriptionType": f"contact.{kind}", "objectId": record, **more}


def v3(body: bytes, timestamp: int, url: str = HOST + ADDRESS) -> dict[str, str]:
    signed = b"POST" + url.encode() + body + str(timestamp).encode()
    digest = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    return {"X-HubSpot-Signature-v3": digest, "X-HubSpot-Request-Timestamp": str(timestamp)}


def older(version: str, signed: bytes) -> dict[str, str]:
    digest = hashlib.sha256(SECRET.encode() + signed).hexdigest()
    return {"X-HubSpot-Signature": digest, "X-HubSpot-Signature-Version": version}


def now_ms(site: Site) -> int:
    return int(site.clock.now().timestamp() * 1000)


def post(site: Site, *events: dict[str, Any], **headers: str) -> httpx.Response:
    body = json.dumps(events).encode()
    return site.browser().post(ADDRESS, content=body, headers=headers or v3(body, now_ms(site)))


def noted(site: Site) -> dict[str, bool]:
    inbox.take_in(site.services.app)
    with site.services.app.db.read(site.services.default_workspace) as tx:
        found = outbox.due(tx, PORTAL, "look", site.clock.now(), limit=1000)
    return {item.key: bool(item.payload.get("erased")) for item in found}


def test_an_event_is_noted_as_a_record_to_look_at_and_its_value_is_left_behind(site: Site) -> None:
    answer = post(site, event(propertyName="phone", propertyValue="+33 1 23 45 67 89"))

    assert answer.status_code == 204
    assert noted(site) == {"51": False}


def test_a_call_counts_only_with_a_signature_of_our_app(site: Site) -> None:
    body = json.dumps([event()]).encode()
    forged = {**v3(body, now_ms(site)), "X-HubSpot-Signature-v3": base64.b64encode(b"x" * 32).decode()}

    answers = [site.browser().post(ADDRESS, content=body, headers=headers).status_code for headers in ({}, forged)]

    assert answers == [401, 401]
    assert noted(site) == {}


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-299, 204), (299, 204), (301, 401)])
def test_a_call_is_believed_for_five_minutes(site: Site, seconds: int, status: int) -> None:
    body = json.dumps([event()]).encode()

    answer = site.browser().post(ADDRESS, content=body, headers=v3(body, now_ms(site) + seconds * 1000))

    assert answer.status_code == status


def test_the_older_signatures_count_where_the_newest_is_missing(site: Site) -> None:
    body = json.dumps([event()]).encode()
    first, second = older("v1", body), older("v2", b"POST" + (HOST + ADDRESS).encode() + body)

    answers = [site.browser().post(ADDRESS, content=body, headers=headers).status_code for headers in (first, second)]

    assert answers == [204, 204]


def test_an_older_signature_does_not_save_a_call_whose_newest_is_wrong(site: Site) -> None:
    body = json.dumps([event()]).encode()
    stale = {**older("v1", body), **v3(body, now_ms(site) - 3_600_000)}

    answer = site.browser().post(ADDRESS, content=body, headers=stale)

    assert answer.status_code == 401


def test_the_raw_bytes_and_the_public_address_are_what_was_signed(site: Site) -> None:
    body = json.dumps([event()], indent=3).encode() + b"\n"
    address = f"{ADDRESS}?team=%40sales"
    signed = v3(body, now_ms(site), f"{HOST}{ADDRESS}?team=@sales")
    behind_a_proxy = {**signed, "Host": "10.0.0.7:8765", "X-Forwarded-Host": "elsewhere.test"}

    answer = site.browser().post(address, content=body, headers=behind_a_proxy)

    assert answer.status_code == 204


def test_what_does_not_concern_us_is_accepted_and_ignored(site: Site) -> None:
    strangers = [
        event(portalId=999),
        event("lovedByEveryone"),
        {**event(), "subscriptionType": "deal.creation"},
        {"subscriptionType": "contact.creation"},
    ]

    answer = post(site, *strangers)

    assert answer.status_code == 204
    assert noted(site) == {}


def test_a_merge_names_every_record_that_may_be_the_survivor(site: Site) -> None:
    post(site, event("merge", 51, primaryObjectId=51, mergedObjectIds=[52, 53], newObjectId=60))

    assert set(noted(site)) == {"51", "52", "53", "60"}


def test_events_that_come_twice_and_out_of_order_are_one_look(site: Site) -> None:
    post(site, event("deletion"), event("creation"))
    post(site, event("creation"), event("deletion"))

    assert noted(site) == {"51": False}


@pytest.mark.parametrize("kinds", [("privacyDeletion", "deletion"), ("deletion", "privacyDeletion")])
def test_a_privacy_deletion_is_remembered_whatever_comes_after_it(site: Site, kinds: tuple[str, str]) -> None:
    for kind in kinds:
        post(site, event(kind))

    assert noted(site) == {"51": True}


def test_a_body_that_is_no_list_of_events_is_refused(site: Site) -> None:
    answers = []
    for body in (b"{}", b"not json"):
        answers.append(site.browser().post(ADDRESS, content=body, headers=v3(body, now_ms(site))).status_code)

    assert answers == [400, 400]


def test_settings_show_when_hubspot_last_called(site: Site) -> None:
    owner = site.browser("owner")
    before = owner.page("/settings").text
    post(site, event())
    inbox.take_in(site.services.app)

    after = owner.page("/settings").text

    assert "none so far" in before
    assert "the last one" in after


def test_without_an_app_there_is_nobody_to_call(tmp_path: Path) -> None:
    with a_site(tmp_path) as without:
        body = json.dumps([event()]).encode()
        answer = without.browser().post(ADDRESS, content=body, headers=v3(body, now_ms(without)))

    assert answer.status_code == 404


def test_hubspot_needs_no_login_and_a_browser_gets_nothing_there(site: Site) -> None:
    assert site.browser().get(ADDRESS).status_code in (404, 405)


def test_settings_show_the_count_of_the_last_full_sync(site: Site) -> None:
    proof = {"run": 1, "hubspot": 1024331, "in_sync": 1024330, "excluded": {"It was deleted here.": 1}}
    with site.services.app.db.write(site.services.default_workspace) as tx:
        portals.save(tx, PORTAL, swept_at=site.clock.now(), sweep={**proof, "missing": [51], "surplus": []})

    text = " ".join(site.browser("owner").page("/settings").text.split())

    assert "HubSpot 1,024,331, here 1,024,330 in sync, 1 excluded" in text
    assert "found by the count alone, and fetched: 51" in text
