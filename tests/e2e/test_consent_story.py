"""Map a property with its counts in view, sync, opt out by API: HubSpot is corrected, merges change nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.chromium import a_page, log_in
from tests.support.demo import Demo
from tests.support.screens import found, opened, sync

pytestmark = pytest.mark.e2e

PHONE = "+14155550181"


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    demo.as_hubspot("webhooks", target="")  # every sync here is one that a person asked for
    with a_page(browser, demo.url) as page:
        log_in(page, demo.email, demo.password)
        yield page


@pytest.fixture
def api(demo: Demo) -> Iterator[httpx.Client]:
    environment = {**os.environ, "MERCURI_DATA_DIR": str(demo.home / "data")}
    command = [sys.executable, "-m", "mercuri", "token", "create", "sms gateway", "--role", "manager", "--json"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    token = json.loads(made.stdout)["token"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{demo.url}/api/v1", headers=headers, timeout=30) as client:
        yield client


def _until(look: Callable[[], bool]) -> None:
    """Wait for what a worker does in its own time."""
    until = time.monotonic() + 30
    while not look():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


def _in_hubspot(demo: Demo, record: str) -> str:
    return demo.property_of(record, "sms_opt_in") or ""


def _shows(page: Page, words: str, name: str) -> None:
    found(page, name)
    expect(page.locator("#consent [data-consent='sms']").first).to_contain_text(words)


def test_a_stop_is_kept_through_syncs_merges_and_undo(page: Page, demo: Demo, api: httpx.Client) -> None:
    one = demo.as_hubspot(
        "create", properties={"firstname": "Ines", "lastname": "Stopford", "phone": PHONE, "sms_opt_in": "true"}
    )["id"]
    demo.as_hubspot("create", properties={"firstname": "Ines", "lastname": "Twinford", "phone": PHONE})

    # Map the property, unless the demo did.
    opened(page, "/settings/subscription")
    if page.get_by_role("button", name="Remove sms_opt_in").count() == 0:
        page.get_by_role("link", name="Choose SMS opt-in").click()
        expect(page.locator("#counts")).to_contain_text("in ")
        page.get_by_role("button", name="Save", exact=True).first.click()
        expect(page.get_by_role("button", name="Remove sms_opt_in")).to_be_visible()
    sync(page)
    _shows(page, "Subscribed", "Stopford")

    # The person says stop.
    answer = api.post("/consent-events", json={"channel": "sms", "address": PHONE, "kind": "message", "text": "Stop."})
    assert answer.status_code == 200, answer.text
    assert answer.json()["sendable"] is False
    _until(lambda: _in_hubspot(demo, str(one)) == "false")
    _shows(page, "Opted out by the person", "Stopford")
    _shows(page, "Opted out by the person", "Twinford")

    # HubSpot says yes again: it is corrected.
    demo.as_hubspot("update", id=str(one), properties={"sms_opt_in": "true"})
    sync(page)
    _until(lambda: _in_hubspot(demo, str(one)) == "false")
    _shows(page, "Opted out by the person", "Stopford")

    # A merge and its undo change nothing of it.
    ids = [item["id"] for item in api.get("/contacts", params={"q": PHONE}).json()["items"]]
    group = api.get(f"/contacts/{ids[0]}").json()["duplicate_group"]
    merged = api.post(f"/duplicates/{group}/merge", json={})
    assert merged.status_code == 200, merged.text
    assert merged.json()["survivor"]["subscription_status"] == "not_subscribed"
    undone = api.post(f"/merges/{merged.json()['merge_id']}/undo", json={})
    assert undone.status_code == 200, undone.text
    _shows(page, "Opted out by the person", "Stopford")
    checked = api.post("/messages/check", json={"channel": "sms", "addresses": [PHONE]}).json()["items"]
    assert checked[0]["sendable"] is False

    # Only the person opens it.
    api.post("/consent-events", json={"channel": "sms", "address": PHONE, "kind": "message", "text": "START"})
    _shows(page, "Subscribed by the person", "Stopford")
