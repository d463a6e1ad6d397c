"""One contact: where its values come from, and what a person can do to it."""

from __future__ import annotations

import pytest
from tests.support.html import Element, parse
from tests.support.web import OWNER, Browser, Site

from mercuri.core.contact import ContactId, LinkState, PortalId, RecordId
from mercuri.core.diff import Base
from mercuri.core.settings import MappingItem, PortalSettings
from mercuri.engine import edit
from mercuri.store import contacts, failures, links, portals
from mercuri.store.failures import Failure
from mercuri.store.links import Link
from mercuri.store.portals import Portal

ACME = PortalId("4242")


def edit_form(page: Element, field: str) -> Element:
    cell = page.one("td", id=f"value-{field}")
    return cell.one("form", class_="edit-form")


def link_to_hubspot(site: Site, contact: int, **values: object) -> None:
    app = site.services.app
    with app.db.write(site.services.default_workspace) as tx:
        portals.add(tx, Portal(ACME, "Acme", "static"), None, app.now())
        link = Link(RecordId("51"), ContactId(contact), LinkState.LIVE, seen_at=app.now(), **values)  # type: ignore[arg-type]
        links.insert_many(tx, ACME, [link])


def history(page: Element) -> list[str]:
    return [entry.text for entry in page.one("ol", class_="history").every("li")]


def test_every_value_tells_its_source_and_since_when(site: Site) -> None:
    contact = site.a_contact(phone="+44 7911 123456")
    site.clock.advance(2 * 24 * 3600)
    app, workspace = site.services.app, site.services.default_workspace
    edit.update_contact(app, workspace, ContactId(contact), {"custom.city": "Paris"}, OWNER, kind="api")

    rows = site.browser("viewer").page(f"/contacts/{contact}").one("section", id="values").every("tr")[1:]

    assert [row.text for row in rows] == [
        "First name Ana typed by owner@example.org 2 d ago",
        "Last name Duarte typed by owner@example.org 2 d ago",
        "Phone +44 7911 123456 typed by owner@example.org 2 d ago",
        "E-mail –",
        "City Paris API token owner@example.org just now",
    ]


def test_a_day_is_read_as_a_day_however_hubspot_keeps_it_and_saving_it_unchanged_changes_nothing(site: Site) -> None:
    contact = site.a_contact()
    app, workspace = site.services.app, site.services.default_workspace
    mapping = (MappingItem("trial_start", "custom.trial_start", type="date"),)
    with app.db.write(workspace) as tx:
        portals.add(tx, Portal(ACME, "Acme", "static", settings=PortalSettings(mapping=mapping)), None, app.now())
    edit.update_contact(app, workspace, ContactId(contact), {"custom.trial_start": "1709251200000"}, OWNER)
    browser = site.browser("manager")
    page = browser.page(f"/contacts/{contact}")
    form = edit_form(page, "custom-trial_start")

    browser.submit(form)

    with app.db.read(workspace) as tx:
        assert (
            contacts.held(tx, [ContactId(contact)])[ContactId(contact)].fields["custom.trial_start"] == "1709251200000"
        )
    assert page.one("a", id="edit-custom-trial_start").one("span").text == "2024-03-01"
    assert "empty → 2024-03-01" in history(page)[0]


def test_a_phone_shows_how_it_is_dialled_or_why_it_cannot_be(site: Site) -> None:
    good, bad = site.a_contact(phone="(415) 555-2671"), site.a_contact(phone="12")
    browser = site.browser("viewer")

    assert "+14155552671" in browser.page(f"/contacts/{good}").one("section", id="addresses").text
    assert "not usable" in browser.page(f"/contacts/{bad}").one("section", id="addresses").text


def test_a_value_is_edited_in_place_and_logged(site: Site) -> None:
    contact = site.a_contact(email="ana@example.org")
    browser = site.browser("manager")
    form = edit_form(browser.page(f"/contacts/{contact}"), "email")

    answer = browser.post(
        form.attributes["hx-post"],
        data={**form.fields(), "value": " a.duarte@example.org "},
        headers={"HX-Request": "true"},
    )

    part = parse(answer.text).one("div", id="contact")
    assert "data-ready" in part.attributes
    assert part.one("a", id="edit-email").one("span").text == "a.duarte@example.org"
    assert history(part)[0].startswith("E-mail ana@example.org → a.duarte@example.org")


def test_editing_works_without_scripts(site: Site) -> None:
    contact = site.a_contact()
    browser = site.browser("manager")
    link = browser.page(f"/contacts/{contact}").one("a", id="edit-last_name").attributes["href"]

    page = browser.page(link)
    opened = next(form for form in page.every("form", class_="edit-form") if form.has("input", autofocus=""))
    answer = browser.submit(opened, value="Marsh")

    assert answer.url.path == f"/contacts/{contact}"
    assert parse(answer.text).one("h1").text == "Ana Marsh"
    assert "Last name was saved." in parse(answer.text).one("div", id="toasts").text


def test_two_people_on_two_fields_do_not_stand_in_each_others_way(site: Site) -> None:
    contact = site.a_contact()
    one, other = site.browser("manager"), site.browser("owner")
    first, last = (
        edit_form(browser.page(f"/contacts/{contact}"), field)
        for browser, field in ((one, "first_name"), (other, "last_name"))
    )

    one.submit(first, value="Anna")
    answer = other.submit(last, value="Marsh")

    assert parse(answer.text).one("h1").text == "Anna Marsh"


def test_two_people_on_one_field_see_both_values_and_choose(site: Site) -> None:
    contact = site.a_contact()
    one, other = site.browser("manager"), site.browser("owner")
    forms = [edit_form(browser.page(f"/contacts/{contact}"), "first_name") for browser in (one, other)]

    one.submit(forms[0], value="Anna")
    clash = other.submit(forms[1], value="Anne")

    cell = parse(clash.text).one("td", id="value-first_name")
    assert clash.status_code == 409
    assert "Now here: Anna" in cell.text
    assert "You typed: Anne" in cell.text
    chosen = other.submit(cell.one("form"))
    assert parse(chosen.text).one("h1").text == "Anne Duarte"


def test_a_value_of_the_history_can_be_put_back(site: Site) -> None:
    contact = site.a_contact()
    browser = site.browser("manager")
    browser.submit(edit_form(browser.page(f"/contacts/{contact}"), "first_name"), value="Anna")

    entry = browser.page(f"/contacts/{contact}").one("ol", class_="history").every("li")[0]
    answer = browser.submit(entry.one("form"))

    assert parse(answer.text).one("h1").text == "Ana Duarte"


def test_an_unknown_field_is_refused(site: Site) -> None:
    contact = site.a_contact()
    browser = site.browser("manager")
    form = edit_form(browser.page(f"/contacts/{contact}"), "first_name")

    answer = browser.post(f"/contacts/{contact}/fields/version", data=form.fields())

    assert answer.status_code == 422
    assert "There is no field" in answer.text


def test_a_field_that_only_hubspot_may_change_is_locked_with_the_reason(site: Site) -> None:
    contact = site.a_contact(email="ana@example.org")
    link_to_hubspot(site, contact)
    app, workspace = site.services.app, site.services.default_workspace
    with app.db.write(workspace) as tx:
        mapping = [{"property": "email", "field": "email", "direction": "in"}]
        portals.update_settings(tx, ACME, portals.from_document({"mapping": mapping}))

    cell = site.browser("owner").page(f"/contacts/{contact}").one("td", id="value-email")

    assert cell.text == "ana@example.org Comes from HubSpot (Acme) only: change it there."
    assert not cell.has("a")


def test_the_record_in_hubspot_is_linked_with_what_differs_on_purpose(site: Site) -> None:
    contact = site.a_contact(phone="(415) 555-2671")
    link_to_hubspot(site, contact, base={"phone": Base("(415) 555-2671", "+14155552671", "stored_differently")})

    card = site.browser("viewer").page(f"/contacts/{contact}").one("section", id="hubspot")

    assert card.one("a").attributes["href"] == "https://app.hubspot.com/contacts/4242/record/0-1/51"
    assert "Acme in sync" in card.text
    assert "Phone: HubSpot writes it in its own way" in card.text
    row = site.browser("viewer").page("/contacts").one("tr", data_row="")
    assert row.one("a", class_="chip").attributes["href"] == card.one("a").attributes["href"]


def test_a_failure_says_what_to_fix_and_can_be_tried_again(site: Site) -> None:
    contact = site.a_contact()
    link_to_hubspot(site, contact)
    app, workspace = site.services.app, site.services.default_workspace
    with app.db.write(workspace) as tx:
        broken = Failure(
            ACME,
            f"contact:{contact}",
            "content",
            "HubSpot refused the e-mail.",
            "Correct it here.",
            app.now(),
            contact_id=ContactId(contact),
            raw='{"status":"error"}',
        )
        failures.put(tx, broken)
    browser = site.browser("manager")

    card = browser.page(f"/contacts/{contact}").one("section", id="failing")
    browser.submit(card.one("form"))

    assert "HubSpot refused the e-mail. Correct it here." in card.text
    assert card.one("pre").text == '{"status":"error"}'
    assert "again just now" in browser.page(f"/contacts/{contact}").one("section", id="failing").text


def test_a_deleted_contact_comes_back_by_the_undo_of_its_message(site: Site) -> None:
    contact = site.a_contact()
    browser = site.browser("manager")

    gone = parse(
        browser.submit(browser.page(f"/contacts/{contact}").one("form", action=f"/contacts/{contact}/delete")).text
    )
    toast = gone.one("div", class_="toast")
    back = browser.submit(toast.one("form"))

    assert "0 contacts" in gone.text
    assert "The contact was deleted. Undo" in toast.text
    assert back.url.path == f"/contacts/{contact}"
    assert "1 contact" in browser.page("/contacts").text


def delete(browser: Browser, contact: int) -> Element:
    browser.submit(browser.page(f"/contacts/{contact}").one("form", action=f"/contacts/{contact}/delete"))
    return browser.page(f"/contacts/{contact}")


@pytest.mark.parametrize(
    ("left", "leads_to"),
    [
        ("http://testserver/contacts?reach=phone&sort=-updated&open=1", "/contacts?reach=phone&sort=-updated"),
        ("http://testserver/contacts?open=1", "/contacts"),
        ("http://testserver/contacts/1?edit=phone", "/contacts"),
        ("http://elsewhere.example/sync?reach=phone", "/contacts"),
        ("http://[?reach=phone", "/contacts"),
    ],
)
def test_who_deletes_a_contact_stays_in_the_list_it_was_open_beside(site: Site, left: str, leads_to: str) -> None:
    contact = site.a_contact()
    browser = site.browser("manager")
    form = browser.page(f"/contacts/{contact}").one("form", action=f"/contacts/{contact}/delete")

    answer = browser.post(
        form.attributes["action"], data=form.fields(), headers={"Referer": left}, follow_redirects=False
    )

    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


def test_erasing_needs_a_tick_and_is_for_good(site: Site) -> None:
    contact = site.a_contact()
    browser = site.browser("manager")
    form = delete(browser, contact).one("form", action=f"/contacts/{contact}/erase")

    unsure = browser.submit(form)
    sure = browser.submit(form, sure="on")

    assert unsure.status_code == 422
    assert "Nothing was erased" in unsure.text
    assert sure.url.path == "/contacts"
    assert browser.get(f"/contacts/{contact}").status_code == 404


def test_a_deleted_contact_cannot_be_edited(site: Site) -> None:
    contact = site.a_contact()

    page = delete(site.browser("manager"), contact)

    assert "This contact was deleted" in page.text
    assert not page.has("form", class_="edit-form")


def test_the_number_of_an_absorbed_contact_leads_to_its_survivor_and_says_so(site: Site) -> None:
    survivor, absorbed = site.a_contact(), site.a_contact()
    with site.services.app.db.write(site.services.default_workspace) as tx:
        contacts.mark_merged(tx, ContactId(absorbed), ContactId(survivor), site.clock.now())
    browser = site.browser("viewer")

    answer = browser.get(f"/contacts/{absorbed}")

    assert answer.url.path == f"/contacts/{survivor}"
    assert f"Contact {absorbed} was merged into this one." in parse(answer.text).one("div", id="toasts").text


def test_a_new_contact_needs_a_value(site: Site) -> None:
    browser = site.browser("manager")
    form = browser.page("/contacts/new").one("form", action="/contacts")

    empty = browser.submit(form)
    made = browser.submit(form, first_name="Cleo", phone="07911 123456")

    assert empty.status_code == 422
    assert "at least one value" in parse(empty.text).one(role="alert").text
    assert "Cleo was created." in parse(made.text).one("div", id="toasts").text
