"""Contacts in a real browser: typing, walking, editing in place, and all of it without a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.support.chromium import a_page, log_in, press, served
from tests.support.screens import opened
from tests.support.web import OWNER, PASSWORD, Site, a_site

from mercuri.engine import edit

pytestmark = pytest.mark.e2e


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as made:
        made.add_user("ana@example.org", "owner")
        lines = ["first name,last name,phone,email\r\n"]
        lines += [f"Bo,Lind {n:03},+1415555{2000 + n},bo{n}@example.org\r\n" for n in range(230)]
        edit.import_csv(made.services.app, made.services.default_workspace, lines, None, OWNER)
        yield made


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with served(lambda _: site.web) as address, a_page(browser, address) as page:
        log_in(page, "ana@example.org", PASSWORD)
        scripts_run(page)
        yield page


def scripts_run(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-scripts", "on")


def test_typing_searches_and_keeps_the_caret_and_the_address(page: Page) -> None:
    press(page, "/")
    page.keyboard.type("lind 042", delay=20)

    expect(page.locator("#list")).to_contain_text("1 contact")
    expect(page.locator("#q")).to_be_focused()
    expect(page).to_have_url("/contacts?q=lind+042")
    page.reload()
    expect(page.locator("#q")).to_have_value("lind 042")


def test_rows_are_appended_as_they_come_into_view_and_all_are_there(page: Page) -> None:
    for wanted in (100, 150, 200, 230):
        page.locator("tr[data-row]").last.scroll_into_view_if_needed()
        page.mouse.wheel(0, 2_000)
        expect(page.locator("tr[data-row]")).to_have_count(wanted)

    names = page.locator("tr[data-row] .row-link").all_inner_texts()
    assert names == [f"Bo Lind {n:03}" for n in range(230)]


def test_a_person_finds_opens_and_corrects_a_contact_by_keyboard_alone(page: Page) -> None:
    press(page, "/")
    page.keyboard.type("lind 007")
    expect(page.locator("#list")).to_contain_text("1 contact")
    press(page, "Escape")
    press(page, "j")
    press(page, "Enter")
    expect(page.locator("#panel h1")).to_have_text("Bo Lind 007")

    page.locator("#edit-phone").focus()
    press(page, "Enter")
    page.keyboard.type("(415) 555-2671")
    press(page, "Enter")

    expect(page.locator("#addresses")).to_contain_text("+14155552671")
    expect(page.locator("#edit-phone")).to_be_focused()
    expect(page.locator("#history li").first).to_contain_text("Phone")


def test_a_contact_beside_the_list_is_walked_on_changed_and_left_without_losing_the_place(page: Page) -> None:
    press(page, "j")
    press(page, "j")
    press(page, " ")
    expect(page.locator("#panel h1")).to_have_text("Bo Lind 001")
    expect(page.locator("#panel")).to_be_focused()
    expect(page).to_have_url("/contacts?open=2")

    press(page, "j")
    expect(page.locator("#panel h1")).to_have_text("Bo Lind 002")
    expect(page).to_have_url("/contacts?open=3")
    page.locator("#edit-last_name").press("Enter")
    page.keyboard.type("Marsh")
    press(page, "Enter")
    expect(page.locator("#contact-3")).to_contain_text("Bo Marsh")
    expect(page.locator("tr[data-row]")).to_have_count(50)

    press(page, "k")
    expect(page.locator("#panel h1")).to_have_text("Bo Lind 001")
    press(page, "Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator("#contact-2 [data-panel]")).to_be_focused()
    expect(page).to_have_url("/contacts")


def test_a_key_pressed_as_a_row_is_painted_anew_walks_on_from_it(page: Page) -> None:
    for key in ("j", "j", "j", " "):
        press(page, key)
    expect(page.locator("#panel h1")).to_have_text("Bo Lind 002")
    page.evaluate(
        """() => document.body.addEventListener("htmx:afterSwap", (event) => {
            if (event.detail.target.id !== "contact-3") return;
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true }));
        })"""
    )

    page.locator("#edit-last_name").press("Enter")
    page.keyboard.type("Marsh")
    press(page, "Enter")

    expect(page.locator("#panel h1")).to_have_text("Bo Lind 001")


def test_going_back_closes_the_contact_beside_the_list_and_going_on_shows_it_again(page: Page) -> None:
    page.get_by_role("link", name="Bo Lind 004").click()
    expect(page.locator("#panel h1")).to_have_text("Bo Lind 004")

    page.go_back()
    expect(page.locator("#panel")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#panel h1")).to_have_text("Bo Lind 004")
    page.get_by_role("link", name="Whole page").click()

    expect(page).to_have_url("/contacts/5")


def test_on_a_phone_a_name_leads_to_the_whole_page(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})

    page.get_by_role("link", name="Bo Lind 004").click()

    expect(page).to_have_url("/contacts/5")


def test_escape_leaves_a_value_as_it_was(page: Page) -> None:
    page.goto("/contacts/1")
    scripts_run(page)

    page.locator("#edit-email").focus()
    press(page, "F2")
    page.keyboard.type("nonsense")
    press(page, "Escape")

    expect(page.locator("#edit-email")).to_be_focused()
    expect(page.locator("#edit-email")).to_have_text("bo0@example.org")


def test_keys_typed_while_the_edit_opens_are_not_lost(page: Page) -> None:
    page.goto("/contacts/1")
    scripts_run(page)

    page.locator("#edit-first_name").focus()
    press(page, "Enter")
    page.keyboard.type("Anna", delay=0)
    press(page, "Enter")

    expect(page.locator("h1")).to_have_text("Anna Lind 000")


def test_a_refused_edit_is_taken_back_and_said(page: Page) -> None:
    def refuse(route: Route) -> None:
        route.continue_(url=route.request.url.replace("first_name", "nonsense"))

    page.goto("/contacts/1")
    scripts_run(page)
    page.route("**/fields/first_name", refuse)

    page.locator("#edit-first_name").focus()
    press(page, "Enter")
    page.keyboard.type("Anna")
    press(page, "Enter")

    expect(page.locator(".toast")).to_contain_text("There is no field")
    expect(page.locator("#value-first_name input[name=value]")).to_have_value("Anna")
    expect(page.locator("#value-first_name input[name=value]")).to_be_focused()
    press(page, "Escape")
    expect(page.locator("#edit-first_name")).to_have_text("Bo")


def test_single_keys_write_where_one_types_and_can_be_turned_off(page: Page) -> None:
    page.locator("#q").focus()
    page.keyboard.type("jk?/")
    expect(page.locator("#q")).to_have_value("jk?/")
    expect(page.locator("#shortcuts")).to_be_hidden()
    press(page, "Escape")

    press(page, "?")
    page.get_by_role("button", name="Turn them off").click()
    expect(page.locator("html")).to_have_attribute("data-shortcuts", "off")
    scripts_run(page)
    press(page, "?")
    press(page, "/")

    expect(page.locator("#shortcuts")).to_be_hidden()
    expect(page.locator("#q")).not_to_be_focused()


def test_rows_are_picked_by_key_and_by_range_and_deleted_with_an_undo(page: Page) -> None:
    expect(page.locator("#bulk")).to_be_hidden()

    press(page, "j")
    press(page, "x")
    page.locator("[data-pick]").nth(3).click(modifiers=["Shift"])

    expect(page.locator("[data-picked]")).to_have_text("4 of 50 shown are picked")
    page.locator("#bulk").get_by_role("button", name="Delete").click()
    expect(page.locator("#list")).to_contain_text("226 contacts")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#list")).to_contain_text("230 contacts")


def test_all_that_match_are_changed_although_only_some_are_shown(page: Page) -> None:
    page.get_by_role("searchbox").fill("lind")
    expect(page).to_have_url("/contacts?q=lind")
    page.locator("[data-pick]").first.check()
    bulk = page.locator("#bulk")

    bulk.get_by_label("All 230 contacts that match").check()
    bulk.get_by_label("Field to set").select_option("First name")
    bulk.get_by_label("New value").fill("Cleo")
    bulk.get_by_role("button", name="Set for all").click()
    expect(page.locator("main")).to_contain_text("First name of 230 contacts will be Cleo.")
    page.get_by_role("button", name="Change all of them").click()

    expect(page.locator("#toasts")).to_contain_text("230 contacts changed: First name is now Cleo.")
    expect(page).to_have_url("/contacts?q=lind")
    expect(page.locator(".row-link").first).to_have_text("Cleo Lind 000")


def test_dark_is_painted_at_once_and_kept(page: Page) -> None:
    with page.expect_response("**/preferences"):
        page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(17, 19, 22)"


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
def test_nothing_is_cut_off_at_any_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})

    for address in ("/contacts", "/contacts?open=1", "/contacts/1", "/contacts/new", "/contacts/import", "/welcome"):
        page.goto(address)
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, address


def test_without_scripts_everything_can_be_read_and_edited(browser: Browser, site: Site) -> None:
    with served(lambda _: site.web) as address, a_page(browser, address, java_script_enabled=False) as page:
        log_in(page, "ana@example.org", PASSWORD)
        page.get_by_label("Search names").fill("lind 003")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Bo Lind 003").click()
        page.get_by_role("link", name="First name: Bo. Edit").click()
        page.get_by_role("textbox", name="First name").fill("Cleo")
        page.get_by_role("button", name="Save").click()

        expect(page.locator("h1")).to_have_text("Cleo Lind 003")
        expect(page.locator("#toasts")).to_contain_text("First name was saved.")


def test_a_person_arranges_the_columns_and_keeps_the_list_as_a_view(page: Page) -> None:
    page.goto("/contacts")
    scripts_run(page)
    menus = page.locator("#list-menus")

    menus.get_by_text("Columns", exact=True).press("Enter")
    menus.get_by_label("HubSpot", exact=True).uncheck()
    menus.get_by_role("button", name="Move Phone to the left").press("Enter")  # the first one stays
    menus.get_by_role("button", name="Move E-mail to the left").press("Enter")
    menus.get_by_role("button", name="Show these").press("Enter")
    expect(page).to_have_url("/contacts?columns=email,phone,status,updated")
    assert page.locator(".contacts thead th").all_inner_texts() == [
        "Name",
        "E-mail",
        "Phone",
        "Subscription",
        "Updated",
    ]

    scripts_run(page)
    menus.get_by_text("Not saved").press("Enter")
    menus.get_by_label("Keep this list as").fill("Writing")
    menus.get_by_label("Keep this list as").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Saved as Writing")
    scripts_run(page)
    menus.locator("summary").nth(1).press("Enter")
    expect(menus.get_by_role("link", name="Writing")).to_contain_text("230")


def test_a_person_filters_by_a_field_and_a_time_and_searches_within(page: Page, site: Site) -> None:
    for id_, city in ((3, "Paris"), (4, "paris"), (5, "Lyon")):
        edit.update_contact(site.services.app, site.services.default_workspace, id_, {"custom.city": city}, OWNER)
    opened(page, "/contacts")
    menus = page.locator("#list-menus")

    menus.get_by_text("Filter", exact=True).press("Enter")
    menus.get_by_label("Value").fill("Paris")
    menus.get_by_label("Value").press("Enter")
    expect(page.locator("tr[data-row]")).to_have_count(2)
    scripts_run(page)
    menus.get_by_text("Filter", exact=True).press("Enter")
    menus.get_by_label("Within").select_option("in the last 7 days")
    menus.get_by_role("button", name="Filter by time").press("Enter")
    expect(page.locator(".filter")).to_have_text(["Updated in the last 7 days", "City is Paris"])
    scripts_run(page)
    page.get_by_role("searchbox").fill("lind 003")
    expect(page.locator("tr[data-row]")).to_have_count(1)

    expect(page).to_have_url("/contacts?q=lind+003&updated=7d&custom.city=is:Paris")


def test_a_person_goes_anywhere_by_typing(page: Page) -> None:
    press(page, "Control+k")
    page.keyboard.type("lind 007")
    press(page, "Enter")
    expect(page.locator("h1")).to_have_text("Bo Lind 007")

    scripts_run(page)
    press(page, "Control+k")
    page.keyboard.type("run")
    expect(page.locator("#palette [data-entry]")).to_have_count(1)
    press(page, "ArrowDown")
    press(page, "Enter")
    expect(page.locator("h1")).to_have_text("Runs")

    scripts_run(page)
    press(page, "Control+k")
    press(page, "Escape")
    expect(page.locator("#palette")).to_be_hidden()
