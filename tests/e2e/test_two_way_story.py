"""Two-way sync as one person lives it: preview, edit both sides, conflict, settle, undo."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.chromium import a_page, log_in, press
from tests.support.demo import Demo
from tests.support.screens import found, opened, run_over, sync

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    # Only the button starts runs here, so that each step is a run of its own.
    demo.as_hubspot("webhooks", target="")
    with a_page(browser, demo.url) as page:
        log_in(page, demo.email, demo.password)
        yield page


def _edit(page: Page, field: str, value: str) -> None:
    """Change a field in place, on the contact's page."""
    page.get_by_role("link", name=re.compile(f"^{field}: .* Edit$")).click()
    page.get_by_role("textbox", name=field, exact=True).fill(value)
    press(page, "Enter")
    expect(page.get_by_role("link", name=f"{field}: {value}. Edit")).to_be_visible()


def test_edits_travel_both_ways_and_a_run_can_be_taken_back(page: Page, demo: Demo) -> None:
    record = demo.as_hubspot(
        "create",
        properties={"firstname": "Wilhelmina", "lastname": "Ostrander", "email": "wilhelmina@example.org"},
    )["id"]
    sync(page)

    # Turning it on shows first what would change, and happens when that is applied.
    opened(page, "/settings/mapping")
    page.get_by_role("button", name="Preview turning on").click()
    run_over(page)
    expect(page.get_by_text("Nothing has been changed yet")).to_be_visible()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"/runs/\d+$"))
    run_over(page)
    opened(page, "/settings/rules")
    page.get_by_label("When both sides changed a field").select_option("ask")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts, .banner")).to_contain_text(["saved"])

    # A field here, another one there.
    found(page, "wilhelmina")
    _edit(page, "Last name", "Ostrander-Vale")
    demo.as_hubspot("update", id=record, properties={"phone": "+447911123456"})
    sync(page)
    assert demo.property_of(record, "lastname") == "Ostrander-Vale"
    found(page, "wilhelmina")
    expect(page.locator("#values")).to_contain_text("+447911123456")

    # The same field on both sides waits for a person.
    _edit(page, "First name", "Mina")
    demo.as_hubspot("update", id=record, properties={"firstname": "Willa"})
    sync(page)
    assert demo.property_of(record, "firstname") == "Willa"
    opened(page, "/conflicts")
    row = page.locator("tr[data-row]")
    expect(row).to_contain_text("Mina")
    expect(row).to_contain_text("Willa")
    row.get_by_role("button", name="Take ours").click()
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    run = sync(page)
    assert demo.property_of(record, "firstname") == "Mina"

    # Taken back, on HubSpot's side too.
    opened(page, run)
    page.get_by_role("button", name="Undo this run").click()
    page.wait_for_url(re.compile(r"/runs/\d+$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Undo of run")
    run_over(page)
    assert demo.property_of(record, "firstname") == "Willa"
