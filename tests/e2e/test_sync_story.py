"""A person opens the app, presses the button and reads the counts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.chromium import a_page, log_in
from tests.support.demo import Demo

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    with a_page(browser, demo.url) as page:
        log_in(page, demo.email, demo.password)
        yield page


def _sync(page: Page) -> str:
    """Press the button, wait until it can be pressed again; the address of the run that it was."""
    page.goto("/contacts")
    expect(page.locator("html")).to_have_attribute("data-scripts", "on")
    before = page.locator("#sync").get_attribute("data-run")
    page.get_by_role("button", name="Sync Contacts").click()
    expect(page.locator("#sync")).not_to_have_attribute("data-run", before or "none")
    expect(page.locator("#sync")).to_have_attribute("data-state", "idle")
    return f"/runs/{page.locator('#sync').get_attribute('data-run')}"


def test_the_first_sync_is_there_with_counts_that_add_up(page: Page) -> None:
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name=re.compile("Full sync")).click()

    expect(page.locator("#run-live")).to_contain_text(re.compile(r"60\s+fetched =\s+60\s+new"))


def test_the_button_fetches_who_is_new_and_the_list_finds_them_as_one_types(page: Page, demo: Demo) -> None:
    demo.as_hubspot("create", properties={"firstname": "Zoë", "lastname": "Quillfeather", "email": "zoe@example.org"})

    run = _sync(page)
    page.get_by_role("searchbox").fill("quillfea")

    expect(page.get_by_role("link", name="Zoë Quillfeather")).to_be_visible()
    page.goto(run)
    expect(page.locator("#run-live")).to_contain_text(re.compile(r"1\s+new"))


def test_a_run_that_is_watched_survives_a_reload(page: Page, demo: Demo) -> None:
    demo.as_hubspot("limits", latency_ms=400)
    demo.as_hubspot("create", properties={"firstname": "Slow", "lastname": "Answer"})
    page.goto("/contacts")
    expect(page.locator("html")).to_have_attribute("data-scripts", "on")
    try:
        page.get_by_role("button", name="Sync Contacts").click()
        expect(page.locator("#sync")).to_have_attribute("data-state", re.compile("queued|running"))
        page.reload()
        expect(page.locator("#sync")).to_have_attribute("data-state", "idle")
    finally:
        demo.as_hubspot("limits", latency_ms=0)

    page.get_by_role("searchbox").fill("slow answer")
    expect(page.get_by_role("link", name="Slow Answer")).to_be_visible()
