"""What a person does on the screens, step by step, for the browser tests."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def opened(page: Page, address: str) -> None:
    """Open a page and wait until its scripts run."""
    page.goto(address)
    expect(page.locator("html")).to_have_attribute("data-scripts", "on")


def sync(page: Page) -> str:
    """Press Sync Contacts, wait until it can be pressed again; the address of the run that it was."""
    opened(page, "/contacts")
    before = page.locator("#sync").get_attribute("data-run")
    page.get_by_role("button", name="Sync Contacts").click()
    expect(page.locator("#sync")).not_to_have_attribute("data-run", before or "none")
    expect(page.locator("#sync")).to_have_attribute("data-state", "idle")
    return f"/runs/{page.locator('#sync').get_attribute('data-run')}"


def run_over(page: Page) -> None:
    """On a run's page: wait until it is over, then see it whole."""
    expect(page.locator("#run-live")).to_have_attribute("data-state", "done")
    page.reload()


def found(page: Page, words: str) -> None:
    """Search the contacts and open the one that is found, beside the list."""
    opened(page, "/contacts")
    page.get_by_role("searchbox").fill(words)
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.locator("tr[data-row] a[data-open]").press("Enter")
    expect(page.locator("#panel #contact")).to_be_visible()


def value_of(page: Page, label: str) -> str:
    """The value that a contact's page shows beside a label."""
    return page.locator(f"[data-field='{label}'] .value").inner_text()
