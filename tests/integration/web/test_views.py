"""Saved views and the choice of columns: what a list shows is in its address, and an address can have a name."""

from __future__ import annotations

from tests.support.html import Element, parse
from tests.support.web import OWNER, Browser, Site

from mercuri.core.contact import ContactId
from mercuri.engine import edit
from mercuri.store import users


def headings(page: Element) -> list[str]:
    return [
        heading.text
        for heading in page.one("table", class_="contacts").every("th")
        if "scope" in heading.attributes and heading.attributes["scope"] == "col"
    ]


def save(browser: Browser, address: str, name: str, **more: str) -> Element:
    form = browser.page(address).one("form", action="/views")
    return parse(browser.submit(form, name=name, **more).text)


def names_of_views(page: Element) -> list[str]:
    return [link.text for link in page.one("div", id="list-menus").every("a") if "href" in link.attributes]


def test_columns_are_chosen_and_stand_in_the_address(site: Site) -> None:
    contact = site.a_contact(email="ana@example.org")
    app, workspace = site.services.app, site.services.default_workspace
    edit.update_contact(app, workspace, ContactId(contact), {"custom.city": "Paris"}, OWNER)
    browser = site.browser("viewer")

    answer = browser.get("/contacts?column=email&column=custom.city&column=nonsense&sort=-updated")

    assert str(answer.url).endswith("/contacts?sort=-updated&columns=email,custom.city")
    page = parse(answer.text)
    assert headings(page) == ["Name", "E-mail", "City"]
    assert page.one("tr", data_row="").text == "Ana Duarte ana@example.org Paris"


def test_a_column_is_moved_one_place_to_the_left(site: Site) -> None:
    site.a_contact()
    browser = site.browser("viewer")

    page = parse(browser.get("/contacts?column=phone&column=email&column=status&earlier=status").text)

    assert headings(page) == ["Name", "Phone", "Subscription", "E-mail"]


def test_a_view_is_kept_under_a_name_and_marked_where_it_is_shown(site: Site) -> None:
    site.a_contact(phone="+44 7911 123456")
    site.a_contact(first_name="Bo", email="bo@example.org")
    browser = site.browser("viewer")

    page = save(browser, "/contacts?reach=phone&columns=phone", " Can be  called ")
    view = next(link for link in page.one("div", id="list-menus").every("a") if link.text.startswith("Can be called"))

    assert view.attributes["href"] == "/contacts?reach=phone&columns=phone"
    assert view.attributes["aria-current"] == "true"
    assert browser.get(view.one("span").attributes["hx-get"]).text == "1"


def test_the_same_name_again_replaces_the_view(site: Site) -> None:
    site.a_contact()
    browser = site.browser("viewer")

    save(browser, "/contacts?reach=phone", "Mine")
    page = save(browser, "/contacts?reach=email", "Mine")

    mine = [link.attributes["href"] for link in page.every("a") if link.text.startswith("Mine")]
    assert mine == ["/contacts?reach=email"]


def test_what_everybody_sees_is_a_managers_to_save_and_to_remove(site: Site) -> None:
    site.a_contact()
    viewer, manager = site.browser("viewer"), site.browser("manager")

    save(manager, "/contacts?reach=phone", "Ours", shared="on")
    save(manager, "/contacts?reach=email", "My own")
    page = viewer.page("/contacts?reach=phone")
    refused = [
        viewer.post("/views", data={**form.fields(), "name": "X", "shared": "on", "query": "reach=email"})
        for form in viewer.page("/contacts?reach=email").every("form", action="/views")
    ]
    refused.append(
        viewer.post("/views/1/delete", data={"csrf": page.every("input", name="csrf")[0].attributes["value"]})
    )

    assert [answer.status_code for answer in refused] == [403, 403]
    assert "Ours everybody's" in names_of_views(page)
    assert not any(name.startswith("My own") for name in names_of_views(page))
    assert page.every("form", action="/views/1/delete") == []
    manager.submit(manager.page("/contacts?reach=phone").one("form", action="/views/1/delete"))
    assert "Ours everybody's" not in names_of_views(viewer.page("/contacts"))


def test_contacts_opens_with_the_view_that_was_chosen_until_it_is_gone(site: Site) -> None:
    site.a_contact()
    browser = site.browser("viewer")
    page = save(browser, "/contacts?reach=email", "Mine")

    def home() -> str:
        return browser.page("/runs").one("nav", aria_label="Main").every("a")[0].attributes["href"]

    browser.submit(page.one("form", action="/views/first"))
    chosen = home()
    browser.submit(browser.page("/contacts?reach=email").one("form", action="/views/1/delete"))

    assert (chosen, home()) == ("/contacts?reach=email", "/contacts")


def test_views_go_with_the_person_who_kept_them(site: Site) -> None:
    site.a_contact()
    save(site.browser("viewer"), "/contacts?reach=email", "Mine")
    app, workspace = site.services.app, site.services.default_workspace
    with app.db.write(workspace) as tx:
        users.remove_user(tx, users.find_login(tx, "viewer@example.org").user_id)  # type: ignore[union-attr]

    page = site.browser("viewer").page("/contacts")

    assert not any(name.startswith("Mine") for name in names_of_views(page))
