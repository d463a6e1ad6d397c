"""The list of contacts: what is found, in which order, page by page; the banner; the files in and out."""

from __future__ import annotations

import pytest
from tests.support.html import Element, parse
from tests.support.web import HOST, OWNER, Browser, Site

from mercuri.engine import edit
from mercuri.store import schema


def names(page: Element) -> list[str]:
    return [row.one("th").text for row in page.every("tr") if "data-row" in row.attributes]


def many(site: Site, count: int) -> None:
    lines = ["first name,last name,email\r\n", *(f"Bo,Lind {n:04},bo{n}@example.org\r\n" for n in range(count))]
    edit.import_csv(site.services.app, site.services.default_workspace, lines, None, OWNER)


def test_a_contact_shows_name_phone_email_status_and_when_it_changed(site: Site) -> None:
    site.a_contact(phone="+44 7911 123456", email="ana@example.org")
    site.clock.advance(3 * 3600)

    row = site.browser("viewer").page("/contacts").one("tr", data_row="")

    assert row.text == "Ana Duarte +44 7911 123456 ana@example.org Not Subscribed not linked 3 h"
    assert row.one("a", class_="row-link").attributes["href"] == "/contacts/1"


def test_contacts_are_found_by_what_is_typed_and_the_address_keeps_it(site: Site) -> None:
    site.a_contact()
    site.a_contact(first_name="Bo", last_name="Lind", phone="(415) 555-2671")
    browser = site.browser("viewer")

    by_digits = browser.part("/contacts?q=5552671&status=&sort=name", "list")
    nobody = browser.part("/contacts?q=zzz", "list")

    assert names(parse(by_digits.text)) == ["Bo Lind"]
    assert by_digits.headers["HX-Replace-Url"] == "/contacts?q=5552671"
    assert "No contact matches" in parse(nobody.text).text
    assert browser.page("/contacts?q=ana").one("input", id="q").attributes["value"] == "ana"


def test_what_is_typed_is_shown_as_text_and_never_as_markup(site: Site) -> None:
    site.a_contact(first_name="<b>Ana</b>", last_name='"><script>alert(1)</script>')
    browser = site.browser("viewer")

    page = browser.page('/contacts?q="><script>x</script>')
    shown = browser.page("/contacts")

    assert all(script.attributes.get("src") for script in page.every("script"))
    assert page.one("input", id="q").attributes["value"] == '"><script>x</script>'
    assert names(shown) == ['<b>Ana</b> "><script>alert(1)</script>']


def test_the_address_opens_a_contact_beside_the_list(site: Site) -> None:
    site.a_contact()
    site.a_contact(first_name="Bo", last_name="Lind")
    browser = site.browser("viewer")

    page = browser.page("/contacts?q=ana&open=2")
    part = parse(browser.part("/contacts/2", "panel").text)

    assert names(page) == ["Ana Duarte"]
    assert page.one("aside", id="panel").one("h1").text == "Bo Lind"
    assert page.one("a", data_panel_close="").attributes["href"] == "/contacts?q=ana"
    assert part.one("h1").text == "Bo Lind"
    assert not part.every("html")


def test_a_contact_that_is_in_no_list_any_more_is_not_opened_beside_it(site: Site) -> None:
    gone = site.a_contact()
    edit.delete_contact(site.services.app, site.services.default_workspace, gone, OWNER)
    browser = site.browser("viewer")

    for wanted in (str(gone), "99", "nonsense", "9" * 30, "²"):
        assert browser.page(f"/contacts?open={wanted}").one("aside", id="panel").text == ""


def test_a_field_and_a_time_are_filtered_by_the_form_and_stand_in_the_address(site: Site) -> None:
    site.a_contact(**{"custom.city": "Paris"})
    site.a_contact(first_name="Bo", **{"custom.city": "Lyon"})
    site.clock.advance(10 * 24 * 3600)
    site.a_contact(first_name="Cleo", **{"custom.city": "paris"})
    browser = site.browser("viewer")

    sent = browser.get("/contacts?sort=-updated&of=custom.city&how=is&value=Paris")
    by_city = parse(sent.text)
    narrower = browser.page("/contacts?custom.city=is:Paris&of=updated&last=7d")

    assert str(sent.url) == f"{HOST}/contacts?sort=-updated&custom.city=is:Paris"
    assert names(by_city) == ["Cleo Duarte", "Ana Duarte"]
    assert [chip.text for chip in by_city.every("span", class_="filter")] == ["City is Paris"]
    assert by_city.one("form", id="search").one("input", name="custom.city").attributes["value"] == "is:Paris"
    assert names(narrower) == ["Cleo Duarte"]
    assert [chip.text for chip in narrower.every("span", class_="filter")] == [
        "Updated in the last 7 days",
        "City is Paris",
    ]


@pytest.mark.parametrize("of", ["path", "self", "columns", "q", ""])
def test_the_form_of_filters_sets_nothing_but_filters(site: Site, of: str) -> None:
    sent = site.browser("viewer").get(f"/contacts?sort=-updated&of={of}&how=https://example.com/&value=x")

    assert str(sent.url) == f"{HOST}/contacts?sort=-updated"


def test_a_view_counts_by_its_own_field(site: Site) -> None:
    site.a_contact(**{"custom.city": "Paris"})
    site.a_contact(first_name="Bo")
    browser = site.browser("viewer")
    save = browser.page("/contacts?custom.city=filled").one("form", action="/views")
    browser.submit(save, name="Has a city")

    assert browser.get("/views/1/count").text == "1"


def test_a_row_is_painted_alone_with_the_columns_of_the_list(site: Site) -> None:
    site.a_contact()
    bo = site.a_contact(first_name="Bo", email="bo@example.org")

    row = parse(site.browser("viewer").part("/contacts?q=ana&columns=email", f"contact-{bo}").text)

    assert names(row) == ["Bo Duarte"]
    assert row.one("tr").text == "Bo Duarte bo@example.org"
    assert "1 contact" not in row.text


def test_filters_are_chips_that_can_be_taken_away_one_by_one(site: Site) -> None:
    site.a_contact(phone="+44 7911 123456")
    site.a_contact(first_name="Bo", phone="", email="bo@example.org")
    browser = site.browser("viewer")

    page = browser.page("/contacts?reach=phone&status=not_subscribed&q=d")

    chips = {chip.text: chip.one("a").attributes["href"] for chip in page.every(class_="filter")}
    assert names(page) == ["Ana Duarte"]
    assert chips == {
        "Has a phone": "/contacts?q=d&status=not_subscribed",
        "Not Subscribed": "/contacts?q=d&reach=phone",
    }
    assert page.one("select", name="reach").every("option", selected="")[0].text == "Has a phone"


def test_a_filter_that_nobody_offers_filters_nothing(site: Site) -> None:
    site.a_contact()

    page = site.browser("viewer").page("/contacts?status=nonsense&sort=DROP&shown=x&portal=none%00")

    assert page.has("div", id="list")


def test_a_second_press_on_a_column_turns_the_order_round(site: Site) -> None:
    site.a_contact(first_name="Ana", last_name="Abel")
    site.a_contact(first_name="Zoe", last_name="Zorn")
    browser = site.browser("viewer")

    page = browser.page("/contacts")
    heading = page.one("th", aria_sort="ascending")
    turned = browser.page(heading.one("a").attributes["href"])

    assert heading.text == "Name"
    assert names(turned) == ["Zoe Zorn", "Ana Abel"]
    assert turned.one("th", aria_sort="descending").text == "Name"


def test_pages_follow_each_other_without_gap_or_repetition(site: Site) -> None:
    many(site, 130)
    browser = site.browser("viewer")

    page = browser.page("/contacts")
    seen = names(page)
    while page.has("a", data_more=""):
        more = page.one("a", data_more="")
        page = parse(browser.part(more.attributes["hx-get"], "").text)
        seen += names(page)

    assert seen == [f"Bo Lind {n:04}" for n in range(130)]


def test_the_next_page_works_as_a_plain_link_too(site: Site) -> None:
    many(site, 60)
    browser = site.browser("viewer")

    following = browser.page(browser.page("/contacts").one("a", data_more="").attributes["href"])

    assert names(following)[0] == "Bo Lind 0050"
    assert following.one("p", class_="pager").one("a").attributes["href"] == "/contacts"


def test_a_cursor_that_makes_no_sense_is_refused_with_a_sentence(site: Site) -> None:
    answer = site.browser("viewer").get("/contacts?cursor=nonsense")

    assert answer.status_code == 422
    assert parse(answer.text).has("main")


def test_an_empty_list_says_what_to_do_as_the_role_allows(site: Site) -> None:
    owner = site.browser("owner").page("/contacts").one("div", class_="empty")
    viewer = site.browser("viewer").page("/contacts").one("div", class_="empty")

    assert [link.text for link in owner.every("a")] == ["Connect HubSpot", "Import", "New contact"]
    assert viewer.every("a") == []


def duplicates(site: Site, groups: int, contacts: int) -> None:
    with site.services.app.db.write(site.services.default_workspace) as tx:
        tx.execute(schema.dup_total.delete())
        row = {"workspace_id": tx.workspace, "groups": groups, "contacts": contacts}
        tx.execute(schema.dup_total.insert().values(row))


def test_the_banner_counts_duplicates_and_leads_to_them(site: Site) -> None:
    duplicates(site, 1204, 2611)

    banner = site.browser("viewer").page("/contacts").one("div", id="duplicates-banner")

    assert "Duplicate Contacts. 1,204 groups (2,611 contacts) share a phone number or e-mail." in banner.text
    assert banner.one("a").attributes["href"] == "/duplicates"


def test_the_banner_hides_at_none_and_when_dismissed_until_the_next_login(site: Site) -> None:
    browser = site.browser("viewer")
    assert browser.page("/contacts").one("div", id="duplicates-banner").text == ""

    duplicates(site, 2, 4)
    banner = browser.page("/contacts").one("div", id="duplicates-banner")
    browser.submit(banner.one("form"))

    assert browser.page("/contacts").one("div", id="duplicates-banner").text == ""
    assert "2 groups" in site.browser("viewer").page("/contacts").one("div", id="duplicates-banner").text


def test_an_export_of_the_list_has_its_columns_and_its_filter(site: Site) -> None:
    site.a_contact(phone="+44 7911 123456", **{"custom.city": "=Paris"})
    site.a_contact(first_name="Bo", **{"custom.city": "Lyon"})
    browser = site.browser("viewer")
    listed = browser.part("/contacts?custom.city=contains:paris&columns=custom.city,status,hubspot,updated", "list")

    links = [a.attributes["href"] for a in parse(listed.text).every("a") if "download" in a.attributes]
    shown, everything = (browser.get(address).text.splitlines() for address in links)

    assert shown == [
        "Name,City,Subscription,HubSpot,Updated",
        "Ana Duarte,'=Paris,Not Subscribed,not linked,2026-03-09 09:00:00+00:00",
    ]
    assert everything[0].startswith("id,first_name,last_name,phone,email,custom.city,")
    assert len(everything) == 2


def test_an_export_holds_what_the_filters_show_and_no_formula(site: Site) -> None:
    site.a_contact(last_name="=1+1", email="ana@example.org")
    site.a_contact(first_name="Bo", email="bo@example.net")

    answer = site.browser("viewer").get("/contacts/export.csv?q=example.org")

    header, *rows = answer.text.splitlines()
    assert answer.headers["content-disposition"] == 'attachment; filename="contacts-2026-03-09.csv"'
    assert header.startswith("id,first_name,last_name,phone,email")
    assert len(rows) == 1
    assert rows[0].startswith("1,Ana,'=1+1,,ana@example.org")


def upload(browser: Browser, content: bytes) -> Element:
    form = browser.page("/contacts/import").one("form", enctype="multipart/form-data")
    answer = browser.post(form.attributes["action"], data=form.fields(), files={"file": ("people.csv", content)})
    return parse(answer.text)


def test_an_import_shows_what_it_would_do_before_it_does_it(site: Site) -> None:
    site.a_contact(email="ana@example.org")
    file = "Vorname;E-Mail;Shoe size\r\nÄnne;aenne@example.org;39\r\nAna;ana@example.org;40\r\n;;\r\nBo;no mail;1;2\r\n"
    browser = site.browser("manager")

    plan = upload(browser, file.encode("cp1252"))
    before = browser.page("/contacts").one("div", id="list").one("p", role="status").text
    form = next(form for form in plan.every("form") if form.has("button", value="import"))
    done = browser.submit(form, act="import", **{"column.Shoe size": "custom.shoe_size"})

    assert plan.one("svg", class_="bar").attributes["aria-label"].startswith("Rows of the file: 1 new, 0 updated")
    assert "Line 5: 4 cells, but the header names 3 columns" in plan.text
    assert before == "1 contact"
    assert "3 rows: 1 new 1 updated 0 unchanged 1 left out" in parse(done.text).text
    assert names(browser.page("/contacts?q=änne")) == ["Änne"]


def test_an_import_can_be_looked_at_again_with_other_columns_and_happens_once(site: Site) -> None:
    browser = site.browser("manager")
    plan = upload(browser, b"who,mail\nAna,ana@example.org\n")
    form = next(form for form in plan.every("form") if "/contacts/import/" in form.attributes["action"])

    checked = parse(browser.submit(form, act="check", **{"column.who": "first_name"}).text)
    again = next(form for form in checked.every("form") if form.has("button", value="import"))
    first = browser.submit(again, act="import")
    second = browser.submit(again, act="import")

    assert "1 new" in checked.text
    assert (first.status_code, second.status_code) == (200, 404)
    assert names(browser.page("/contacts")) == ["Ana"]


def test_a_column_says_who_may_be_messaged_once_it_is_chosen_and_a_source_is_stated(site: Site) -> None:
    browser = site.browser("manager")
    plan = upload(browser, b"phone,SMS ok\n415 555 2671,yes\n415 555 2672,no\n")
    form = next(form for form in plan.every("form") if form.has("button", value="import"))

    checked = parse(browser.submit(form, act="check", **{"column.SMS ok": "consent.sms"}).text)
    again = next(form for form in checked.every("form") if form.has("button", value="import"))
    too_long = browser.submit(again, act="import", consent_source="x" * 1001)
    done = parse(browser.submit(again, act="import", consent_source="paper forms").text)

    assert too_long.status_code == 422
    assert "longer than 1,000 characters. Nothing was imported." in too_long.text
    assert not plan.has("section", id="permission")
    assert checked.one("section", id="permission")
    assert checked.one("p", id="heard").text == "Permission: 0 yes 1 no 1 not recorded"
    assert "states no source" in checked.text
    assert done.one("p", id="heard").text == "Permission: 1 yes 1 no 0 not recorded"
    assert "415" in browser.page("/contacts?status=subscribed").one("div", id="list").text


def test_a_file_that_is_no_table_is_refused_with_the_reason(site: Site) -> None:
    browser = site.browser("manager")

    assert "has no header line" in upload(browser, b"").one(role="alert").text
    assert "Two columns are named 'a'" in upload(browser, b"a,a\n1,2\n").one(role="alert").text
