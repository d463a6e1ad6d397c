"""Map a property with its counts in view, sync, opt out by API: HubSpot is corrected, merges change nothing of it."""

from __future__ import annotations

import json
import os
import re
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


def _map(page: Page) -> None:
    """Take away what the demo mapped, and map it again with its counts in view."""
    opened(page, "/settings/subscription")
    page.get_by_role("button", name="Remove sms_opt_in").click()
    expect(page.get_by_text("No property is mapped")).to_be_visible()
    page.get_by_role("link", name="Choose SMS opt-in").click()
    expect(page.locator("#counts")).to_contain_text(re.compile(r"in \d+ / out \d+ / blank \d+"))
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.get_by_role("button", name="Remove sms_opt_in")).to_be_visible()


def _says(api: httpx.Client, text: str) -> httpx.Response:
    answer = api.post("/consent-events", json={"channel": "sms", "address": PHONE, "kind": "message", "text": text})
    assert answer.status_code == 200, answer.text
    return answer


def _fails(page: Page, words: str) -> bool:
    page.reload()
    return words in page.locator("main").inner_text()


def _merge(page: Page, api: httpx.Client) -> None:
    """Merge the two in the review of their group."""
    ids = [item["id"] for item in api.get("/contacts", params={"q": PHONE}).json()["items"]]
    assert len(ids) == 2
    opened(page, f"/duplicates/{api.get(f'/contacts/{ids[0]}').json()['duplicate_group']}")
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("2 contacts merged into")


def test_a_stop_is_kept_through_syncs_merges_and_undo(page: Page, demo: Demo, api: httpx.Client) -> None:
    one = str(
        demo.as_hubspot(
            "create", properties={"firstname": "Ines", "lastname": "Stopford", "phone": PHONE, "sms_opt_in": "true"}
        )["id"]
    )
    demo.as_hubspot("create", properties={"firstname": "Ines", "lastname": "Twinford", "phone": PHONE})
    _map(page)
    sync(page)
    _shows(page, "Subscribed", "Stopford")
    _shows(page, "HubSpot (sms_opt_in of record", "Twinford")

    # The person says stop: closed on every contact, and HubSpot is told with two-way off.
    assert _says(api, "Stop.").json()["sendable"] is False
    _until(lambda: _in_hubspot(demo, one) == "false")
    for name in ("Stopford", "Twinford"):
        _shows(page, "Opted out by the person", name)
    opened(page, f"/contacts?status=not_subscribed&q={PHONE.removeprefix('+')}")
    expect(page.locator("tr[data-row]")).to_have_count(2)

    # HubSpot says yes again: it is corrected once for each time, twice in all; then a person is told.
    for is_corrected in (True, True, False):
        demo.as_hubspot("update", id=one, properties={"sms_opt_in": "true"})
        sync(page)
        if is_corrected:
            _until(lambda: _in_hubspot(demo, one) == "false")
        _shows(page, "Opted out by the person", "Stopford")
    _until(lambda: _fails(page, "HubSpot turned this opt-out back on"))
    assert _in_hubspot(demo, one) == "true"

    # A merge and its undo change nothing of it.
    _merge(page, api)
    _shows(page, "Opted out by the person", "Ines")
    checked = api.post("/messages/check", json={"channel": "sms", "addresses": [PHONE]}).json()["items"]
    assert checked[0]["sendable"] is False
    opened(page, "/duplicates/merged")
    page.get_by_role("button", name="Undo").first.click()
    expect(page.locator(".toast")).to_contain_text("The merge was taken back.")
    for name in ("Stopford", "Twinford"):
        _shows(page, "Opted out by the person", name)
    expect(page.get_by_role("button", name="Opt in")).to_have_count(0)

    # Only the person opens it; what a user closes, a user opens, with a reason.
    _says(api, "START")
    _shows(page, "Subscribed by the person", "Stopford")
    page.get_by_role("button", name=f"Opt out {PHONE}, SMS").click()
    expect(page.locator("#consent [data-consent='sms']").first).to_contain_text("Opted out by")
    line = page.locator("#consent [data-consent='sms']").first
    line.get_by_text("Opt in", exact=True).first.click()
    line.get_by_label("Reason for SMS").fill("asked for it at the desk")
    line.get_by_role("button", name="Opt in").click()
    expect(line).to_contain_text("Subscribed by the person")
