"""A person reviews duplicates with the keyboard, merges, undoes, tells apart and merges in bulk, on real screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.chromium import a_page, log_in, press, served
from tests.support.web import PASSWORD, Site, a_site

from mercuri.web.app import create_app

pytestmark = pytest.mark.e2e

PEOPLE = (
    ("Ana", "Duarte", "+44 7911 123456", "ana@example.org"),
    ("A.", "Duarte", "07911 123456", "a.duarte@example.org"),
    ("Bo", "Lind", "", "bo@example.org"),
    ("Bo", "Lind", "", "BO@example.org"),
    ("Zoe", "Marsh", "+44 7400 123456", ""),
    ("Max", "Reed", "+44 7400 123456", ""),
    ("Eve", "Stone", "+44 7400 765432", ""),
    ("Eve", "Stone", "+44 7400 765432", ""),
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path, default_region="GB") as made:
        made.add_user("mia@example.org", "manager")
        for first, last, phone, email in PEOPLE:
            made.a_contact(first_name=first, last_name=last, phone=phone, email=email)
        yield made


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with served(lambda address: create_app(site.services)) as address, a_page(browser, address) as page:
        log_in(page, "mia@example.org", PASSWORD)
        yield page


def _manage(page: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("link", name="Manage").click()
    expect(page.locator("html")).to_have_attribute("data-scripts", "on")


def test_the_banner_leads_to_a_review_that_merges_and_undoes(page: Page) -> None:
    page.goto("/contacts")
    expect(page.locator("#duplicates-banner")).to_contain_text("4 groups (8 contacts)")
    _manage(page)
    expect(page.locator("tr[data-row]")).to_have_count(4)
    row = page.locator("tr[data-row]", has_text="Ana Duarte")

    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Compare 2 contacts")).to_be_visible()
    expect(page.locator("#reasons")).to_contain_text("same phone +447911123456")
    page.locator("input[name='field.first_name']").last.check()
    page.get_by_role("button", name="Merge", exact=True).click()

    expect(page.locator(".toast")).to_contain_text("2 contacts merged into")
    expect(page.get_by_role("heading", name="Compare 2 contacts")).to_be_visible()  # the next group
    expect(page.get_by_role("navigation", name="Main")).to_contain_text("3")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("The merge was taken back.")
    expect(page.locator("tr[data-row]")).to_have_count(4)


def test_groups_are_decided_by_single_keys(page: Page) -> None:
    _manage(page)

    press(page, "j")
    expect(page.locator("tr[data-row][aria-current='true']")).to_contain_text("Bo Lind")
    press(page, "m")
    expect(page.locator(".toast")).to_contain_text("2 contacts merged into Bo Lind.")
    expect(page.locator("tr[data-row]")).to_have_count(3)
    press(page, "z")
    expect(page.locator("tr[data-row]")).to_have_count(4)

    zoe = page.locator("tr[data-row]", has_text="Zoe Marsh")
    zoe.get_by_role("link").focus()
    press(page, "d")
    expect(page.locator(".toast")).to_contain_text("Remembered: 1 pair of different people.")
    expect(page.locator("tr[data-row]")).to_have_count(3)

    page.locator("tr[data-row]", has_text="Eve Stone").get_by_role("link").focus()
    press(page, "s")
    expect(page.locator(".toast")).to_contain_text("joins nobody any more")
    expect(page.locator("tr[data-row]")).to_have_count(2)
    page.get_by_role("link", name="Shared values").click()
    expect(page.get_by_role("table")).to_contain_text("+447400765432")

    page.get_by_role("link", name=re.compile("^Groups")).click()
    press(page, "j")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Compare 2 contacts")).to_be_visible()
    first = page.url
    press(page, "j")
    page.wait_for_url(lambda url: url != first)
    press(page, "k")
    page.wait_for_url(first)


def test_safe_groups_are_merged_at_once_and_taken_back_at_once(page: Page) -> None:
    _manage(page)
    page.get_by_role("link", name="Merge safe groups").click()
    expect(page.locator("#safe")).to_contain_text("3 groups (6 contacts) would be merged")
    expect(page.locator("#safe")).to_contain_text("names differ")

    page.get_by_role("button", name="Merge 3 groups").click()
    expect(page.locator("#batch[data-state='done']")).to_contain_text("3 groups merged")
    page.get_by_role("link", name="All groups").click()
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.get_by_role("link", name="Merged", exact=True).click()
    expect(page.locator("tr[data-row]")).to_have_count(3)
    page.get_by_role("link", name="in bulk").first.click()
    page.get_by_role("button", name="Undo all").click()

    expect(page.locator("#batch[data-state='undone']")).to_contain_text("This bulk merge was taken back.")
    page.get_by_role("link", name="All groups").click()
    expect(page.locator("tr[data-row]")).to_have_count(4)


def test_the_pages_have_no_barrier_that_can_be_measured(page: Page) -> None:
    for address in ("/duplicates", "/duplicates/1", "/duplicates/shared", "/duplicates/safe"):
        page.goto(address)
        page.evaluate(Path("tests/support/axe.min.js").read_text())
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
