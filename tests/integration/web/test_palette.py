"""Going to a page, a view or a contact by its name; the page that works without scripts."""

from __future__ import annotations

from tests.support.html import parse
from tests.support.web import Browser, Site


def entries(browser: Browser, q: str) -> list[tuple[str, str]]:
    page = browser.page(f"/go?q={q}")
    return [(link.text, link.attributes["href"]) for link in page.every("a") if "data-entry" in link.attributes]


def test_pages_and_contacts_are_found_by_words(site: Site) -> None:
    site.a_contact(email="ana@example.org")
    site.a_contact(first_name="Bo", last_name="Mapp")

    assert entries(site.browser("viewer"), "mapp") == [
        ("Settings: Mapping", "/settings/mapping"),
        ("Bo Mapp", "/contacts/2"),
    ]
    assert entries(site.browser("viewer"), "ana+duarte") == [("Ana Duarte, ana@example.org", "/contacts/1")]


def test_only_those_who_may_are_offered_to_add_contacts(site: Site) -> None:
    found = [("New contact", "/contacts/new")]

    assert (entries(site.browser("manager"), "new"), entries(site.browser("viewer"), "new")) == (found, [])


def test_a_window_asks_for_the_entries_alone(site: Site) -> None:
    answer = site.browser("viewer").part("/go?q=zzz")

    assert "<html" not in answer.text
    assert parse(answer.text).text == "Nothing fits."
