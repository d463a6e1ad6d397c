"""Several contacts at once: picked by their boxes, changed, deleted and brought back."""

from __future__ import annotations

from tests.support.html import Element, parse
from tests.support.web import OWNER, Browser, Site

from mercuri.core.contact import ContactId
from mercuri.engine import edit
from mercuri.store import contacts
from mercuri.store.changes import of_contact
from mercuri.web.pages.bulk import MOST
from mercuri.web.pages.bulk_all import STEP


def bar(browser: Browser) -> dict[str, str]:
    return browser.page("/contacts").one("form", id="bulk").fields()


def act(browser: Browser, act: str, ids: list[int], **values: str) -> Element:
    sent = {**bar(browser), **values, "id": [str(id_) for id_ in ids]}
    return parse(browser.post(f"/contacts/bulk/{act}", data=sent).text)


def total(browser: Browser) -> str:
    return browser.page("/contacts").one("div", id="list").one("p", role="status").text


def test_each_row_can_be_picked_by_those_who_may_change_it(site: Site) -> None:
    contact = site.a_contact()

    box = site.browser("manager").page("/contacts").one("input", name="id")
    seen = site.browser("viewer").page("/contacts")

    assert box.attributes["value"] == str(contact)
    assert box.attributes["form"] == "bulk"
    assert not seen.has("input", name="id")
    assert not seen.has("form", id="bulk")


def test_deleted_together_comes_back_together(site: Site) -> None:
    picked = [site.a_contact(), site.a_contact()]
    site.a_contact()
    browser = site.browser("manager")

    gone = act(browser, "delete", picked)
    left = total(browser)
    back = browser.submit(gone.one("div", class_="toast").one("form"))

    assert "2 contacts deleted." in gone.one("div", id="toasts").text
    assert left == "1 contact"
    assert "2 contacts brought back." in parse(back.text).one("div", id="toasts").text
    assert total(browser) == "3 contacts"


def test_what_was_deleted_alone_does_not_come_back_with_the_others(site: Site) -> None:
    alone, other = site.a_contact(), site.a_contact()
    browser = site.browser("manager")
    edit.delete_contact(site.services.app, site.services.default_workspace, ContactId(alone), OWNER)

    gone = act(browser, "delete", [alone, other])
    browser.submit(gone.one("div", class_="toast").one("form"))

    assert "1 contact deleted. 1 other left as they were." in gone.one("div", id="toasts").text
    assert total(browser) == "1 contact"


def test_one_value_is_set_on_all_that_are_picked_and_logged_on_each(site: Site) -> None:
    picked, other = [site.a_contact(), site.a_contact()], site.a_contact()
    browser = site.browser("manager")

    said = act(browser, "set", picked, field="last_name", value="Marsh").one("div", id="toasts").text

    with site.services.app.db.read(site.services.default_workspace) as tx:
        logged = [of_contact(tx, ContactId(id_))[0].after for id_ in (*picked, other)]
    assert "2 contacts changed: Last name is now Marsh." in said
    assert logged[:2] == ["Marsh", "Marsh"]
    assert logged[2] != "Marsh"


def test_a_phone_number_is_never_given_to_several_people(site: Site) -> None:
    picked = [site.a_contact(), site.a_contact()]
    browser = site.browser("manager")

    for field in ("phone", "email", "version", "custom.unknown", ""):
        assert "Nothing was changed" in act(browser, "set", picked, field=field, value="x").text


def test_none_too_many_and_nonsense_are_refused(site: Site) -> None:
    site.a_contact()
    browser = site.browser("manager")
    form = bar(browser)

    none = browser.post("/contacts/bulk/delete", data=form)
    many = browser.post("/contacts/bulk/delete", data={**form, "id": [str(n) for n in range(1, MOST + 2)]})
    odd = browser.post("/contacts/bulk/delete", data={**form, "id": ["x", "²", "9" * 30]})

    assert "No contact is picked." in none.text
    assert f"More than {MOST} contacts are picked." in many.text
    assert odd.status_code in (200, 422)
    assert total(browser) == "1 contact"


def test_a_viewer_changes_nothing_in_bulk(site: Site) -> None:
    contact = site.a_contact()
    browser = site.browser("viewer")
    csrf = browser.page("/contacts").one("form", action="/logout").fields()["csrf"]

    for act_ in ("delete", "set", "restore"):
        answer = browser.post(f"/contacts/bulk/{act_}", data={"csrf": csrf, "id": str(contact), "field": "last_name"})
        assert answer.status_code == 403
    assert total(browser) == "1 contact"


def many(site: Site, count: int) -> None:
    lines = ["first name,email,custom.city\r\n", *(f"Bo,bo{n}@example.org,Lyon\r\n" for n in range(count))]
    edit.import_csv(site.services.app, site.services.default_workspace, lines, None, OWNER)


def ask_for_all(browser: Browser, listed: str, act: str, **values: str) -> Element:
    form = browser.page(listed).one("form", id="bulk").fields()
    return parse(browser.post("/contacts/bulk/all", data={**form, **values, "act": act}).text)


def test_all_that_match_are_changed_step_by_step_once_their_number_was_confirmed(site: Site) -> None:
    many(site, 2 * STEP + 30)
    site.a_contact()
    site.clock.advance(60)
    browser = site.browser("manager")
    listed = "/contacts?q=bo&sort=-updated"

    asked = ask_for_all(browser, listed, "set", field="last_name", value="Lind")
    site.clock.advance(1)
    late = site.a_contact(first_name="Bo", last_name="Late")
    first = parse(browser.submit(asked.one("form", action="/contacts/bulk/step")).text)
    second = parse(browser.submit(first.one("form", action="/contacts/bulk/step")).text)
    last = browser.submit(second.one("form", action="/contacts/bulk/step"))

    assert "Last name of 230 contacts will be Lind" in asked.one("main").text
    assert "100 contacts changed" in first.one("p", role="status").text
    assert "230 contacts changed: Last name is now Lind." in parse(last.text).one("div", id="toasts").text
    assert str(last.url).endswith(listed)
    assert browser.page("/contacts?q=bo+lind").one("p", role="status").text == "230 contacts"
    with site.services.app.db.read(site.services.default_workspace) as tx:
        assert contacts.get(tx, ContactId(late)).fields["last_name"] == "Late"


def test_all_that_match_are_deleted_although_they_leave_the_list_meanwhile(site: Site) -> None:
    many(site, STEP + 5)
    kept = site.a_contact()
    browser = site.browser("manager")

    asked = ask_for_all(browser, "/contacts?q=bo", "delete")
    first = parse(browser.submit(asked.one("form", action="/contacts/bulk/step")).text)
    browser.submit(first.one("form", action="/contacts/bulk/step"))

    assert total(browser) == "1 contact"
    assert browser.page("/contacts").one("input", name="id").attributes["value"] == str(kept)


def test_nothing_is_done_to_all_before_it_is_confirmed_or_by_who_may_not(site: Site) -> None:
    many(site, 3)
    manager, viewer = site.browser("manager"), site.browser("viewer")

    asked = ask_for_all(manager, "/contacts", "delete")
    form = asked.one("form", action="/contacts/bulk/step")
    refused = ask_for_all(manager, "/contacts", "set", field="email", value="all@example.org")
    csrf = viewer.page("/contacts").every("input", name="csrf")[0].attributes["value"]
    forbidden = viewer.post("/contacts/bulk/step", data={**form.fields(), "csrf": csrf})
    changes = [{"asked_at": at} for at in ("yesterday", "2026-01-01T00:00", "9999-12-31T23:59:59.9999+00:00")]
    changes += [{"act": "set", "field": "email", "value": "all@example.org"}, {"act": "praise"}]
    broken = {manager.submit(form, **values).status_code for values in changes}

    assert "cannot be done to several people at once" in refused.text
    assert (forbidden.status_code, broken) == (403, {422})
    assert total(manager) == "3 contacts"


def test_what_was_done_to_some_leads_back_to_the_list_they_were_picked_in(site: Site) -> None:
    picked = site.a_contact()
    browser = site.browser("manager")
    form = browser.page("/contacts?q=ana&columns=email").one("form", id="bulk").fields()

    done = browser.post("/contacts/bulk/set", data={**form, "id": str(picked), "field": "last_name", "value": "Li"})

    assert str(done.url).endswith("/contacts?q=ana&columns=email")
