"""A person opens the app, presses the button and reads the counts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.chromium import a_page, log_in
from tests.support.demo import Demo
from tests.support.screens import opened, sync

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    # Only the button starts runs here, so that each step is a run of its own.
    demo.as_hubspot("webhooks", target="")
    with a_page(browser, demo.url) as page:
        log_in(page, demo.email, demo.password)
        yield page


def test_the_first_sync_is_there_with_counts_that_add_up(page: Page) -> None:
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name=re.compile("Full sync")).click()

    expect(page.locator("#run-live")).to_contain_text(re.compile(r"60\s+fetched =\s+60\s+new"))


def test_the_button_fetches_who_is_new_and_the_list_finds_them_as_one_types(page: Page, demo: Demo) -> None:
    demo.as_hubspot("create", properties={"firstname": "Zoë", "lastname": "Quillfeather", "email": "zoe@example.org"})

    run = sync(page)
    page.get_by_role("searchbox").fill("quillfea")

    expect(page.get_by_role("link", name="Zoë Quillfeather")).to_be_visible()
    page.goto(run)
    expect(page.locator("#run-live")).to_contain_text(re.compile(r"1\s+new"))


def test_a_run_that_is_watched_survives_a_reload(page: Page, demo: Demo) -> None:
    demo.as_hubspot("limits", latency_ms=400)
    demo.as_hubspot("create", properties={"firstname": "Slow", "lastname": "Answer"})
    opened(page, "/contacts")
    try:
        page.get_by_role("button", name="Sync Contacts").click()
        expect(page.locator("#sync")).to_have_attribute("data-state", re.compile("queued|running"))
        page.reload()
        expect(page.locator("#sync")).to_have_attribute("data-state", "idle")
    finally:
        demo.as_hubspot("limits", latency_ms=0)

    page.get_by_role("searchbox").fill("slow answer")
    expect(page.get_by_role("link", name="Slow Answer")).to_be_visible()
