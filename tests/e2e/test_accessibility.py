"""Every page, light and dark, desktop and phone: axe finds nothing of WCAG A or AA, and nothing scrolls sideways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.chromium import a_page, log_in
from tests.support.demo import Demo
from tests.support.screens import opened

pytestmark = pytest.mark.e2e

_AXE = Path(__file__).parents[1] / "support" / "axe.min.js"
_PAGES = (
    "/contacts",
    "/contacts?open=1",
    "/contacts/1",
    "/contacts/new",
    "/contacts/import",
    "/duplicates",
    "/runs",
    "/runs/1",
    "/conflicts",
    "/go?q=contacts",
    "/settings",
    "/settings/mapping",
    "/settings/subscription",
    "/settings/rules",
    "/settings/people",
    "/welcome",
)
_LOOKS = {
    "desktop light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module", params=_LOOKS)
def page(request: pytest.FixtureRequest, browser: Browser, demo: Demo) -> Iterator[Page]:
    with a_page(browser, demo.url, bypass_csp=True, **_LOOKS[request.param]) as page:
        log_in(page, demo.email, demo.password)
        yield page


@pytest.mark.parametrize("address", _PAGES)
def test_a_page_can_be_used_by_everybody(page: Page, address: str) -> None:
    opened(page, address)
    page.add_script_tag(path=_AXE)
    expect(page.locator("main")).to_be_visible()

    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})")
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")

    assert [(v["id"], [node["html"] for node in v["nodes"]][:3]) for v in found["violations"]] == []
    assert found["passes"], "axe looked at nothing"
    assert width[0] <= width[1], "the page scrolls sideways"
