"""Who gets in, who does not, and what a form needs to be believed."""

from __future__ import annotations

import pytest
from tests.support.html import parse
from tests.support.web import PASSWORD, Browser, Site

from mercuri.store import users
from mercuri.store.database import ANY
from mercuri.web import auth
from mercuri.web.pages.login import _REFUSED, _WAIT
from mercuri.web.pages.setup import setup_address


def log_in(browser: Browser, email: str, password: str = PASSWORD, **more: str) -> str:
    answer = browser.post("/login", data={"email": email, "password": password, **more})
    return f"{answer.status_code} {answer.url.path}"


def test_every_page_leads_to_the_set_up_until_there_is_an_owner(site: Site) -> None:
    browser = site.browser()

    addresses = {browser.get(page).url.path for page in ("/", "/contacts", "/contacts/7", "/login", "/sync/status")}

    assert addresses == {"/setup"}


def code_of(site: Site) -> str:
    return setup_address(site.services.app).partition("?code=")[2]


def test_whoever_has_the_set_up_code_becomes_the_owner_and_is_logged_in(site: Site) -> None:
    browser = site.browser()
    form = parse(browser.get(f"/setup?code={code_of(site)}").text).one("form")

    answer = browser.submit(form, email="Ana@Example.org", password=PASSWORD)

    assert answer.url.path == "/welcome"
    assert "ana@example.org owner" in parse(answer.text).one("details", class_="menu").text


@pytest.mark.parametrize("code", ["", "00000000000000000000", "größer"])
def test_nobody_becomes_the_owner_without_the_set_up_code(site: Site, code: str) -> None:
    answer = site.browser().post("/setup", data={"code": code, "email": "eve@example.org", "password": PASSWORD})

    with site.services.app.db.read(ANY) as tx:
        assert not users.any_user(tx)
    assert answer.status_code == 422
    assert "not the set-up code" in parse(answer.text).one(role="alert").text


def test_the_set_up_is_closed_once_there_is_an_owner(site: Site) -> None:
    code = code_of(site)
    site.add_user("ana@example.org", "owner")
    browser = site.browser()
    shown = browser.get("/setup").url.path
    sent = browser.post("/setup", data={"code": code, "email": "eve@example.org", "password": PASSWORD}).url.path

    with site.services.app.db.read(ANY) as tx:
        assert users.find_login(tx, "eve@example.org") is None
    assert (shown, sent, code_of(site)) == ("/login", "/login", "")


def test_a_short_password_is_refused_with_the_reason(site: Site) -> None:
    data = {"code": code_of(site), "email": "ana@example.org", "password": "short"}
    answer = site.browser().post("/setup", data=data)

    assert answer.status_code == 422
    assert "at least 10 characters" in parse(answer.text).one(role="alert").text


def test_a_login_leads_back_to_the_page_that_was_asked_for(site: Site) -> None:
    site.add_user("ana@example.org", "viewer")
    browser = site.browser()

    asked = browser.get("/contacts?q=bo")
    form = parse(asked.text).one("form")
    answer = browser.submit(form, email="ana@example.org", password=PASSWORD)

    assert asked.url.path == "/login"
    assert (answer.url.path, answer.url.query) == ("/contacts", b"q=bo")


def test_a_login_leads_nowhere_else(site: Site) -> None:
    site.add_user("ana@example.org", "viewer")

    for address in ("https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example"):
        assert log_in(site.browser(), "ana@example.org", next=address) == "200 /contacts"


def test_a_wrong_password_and_an_unknown_user_are_told_apart_by_nobody(site: Site) -> None:
    site.add_user("ana@example.org", "viewer")

    answers = [
        site.browser().post("/login", data={"email": email, "password": "wrong wrong wrong"})
        for email in ("ana@example.org", "nobody@example.org")
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert [parse(answer.text).one(role="alert").text for answer in answers] == [_REFUSED, _REFUSED]


def test_guessing_is_braked_even_for_the_right_password_and_forgiven_in_time(site: Site) -> None:
    site.add_user("ana@example.org", "viewer")
    browser = site.browser()

    for _ in range(6):
        log_in(browser, "ana@example.org", "wrong wrong wrong")
    braked = browser.post("/login", data={"email": "ana@example.org", "password": PASSWORD})
    site.clock.advance(15 * 60)
    later = log_in(browser, "ana@example.org")

    assert (braked.status_code, parse(braked.text).one(role="alert").text) == (429, _WAIT)
    assert later == "200 /contacts"


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(site: Site) -> None:
    site.add_user("ana@example.org", "viewer")
    browser = site.browser()
    browser.follow_redirects = False

    answer = browser.post("/login", data={"email": "ana@example.org", "password": PASSWORD})

    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith(auth.COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_a_session_ends_with_the_log_out_and_with_its_time(site: Site) -> None:
    left, forgotten = site.browser("viewer"), site.browser("viewer")

    page = left.page("/contacts")
    left.submit(page.one("form", action="/logout"))
    site.clock.advance(auth.LIFETIME.total_seconds() + 1)

    assert left.get("/contacts").url.path == "/login"
    assert forgotten.get("/contacts").url.path == "/login"


def test_a_stolen_log_out_does_not_revive(site: Site) -> None:
    browser = site.browser("viewer")
    token = browser.cookies[auth.COOKIE]

    browser.submit(browser.page("/contacts").one("form", action="/logout"))
    thief = site.browser()
    thief.cookies.set(auth.COOKIE, token, domain="mercuri.test")

    assert thief.get("/contacts").url.path == "/login"


def test_a_form_without_its_token_changes_nothing(site: Site) -> None:
    browser = site.browser("owner")

    for sent in ({}, {"csrf": ""}, {"csrf": "wrong"}):
        answer = browser.post("/contacts", data={"first_name": "Eve", **sent})
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.text
    assert "0 contacts" in browser.page("/contacts").text


def test_a_form_of_another_site_logs_nobody_in(site: Site) -> None:
    site.add_user("ana@example.org", "owner")
    sent = {"email": "ana@example.org", "password": PASSWORD}

    foreign = [
        site.browser().post("/login", data=sent, headers=headers).status_code
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"})
    ]
    own = site.browser().post("/login", data=sent, headers={"Origin": "http://mercuri.test"}).status_code

    assert foreign == [403, 403, 403]
    assert own == 200


def test_a_viewer_reads_and_changes_nothing(site: Site) -> None:
    contact = site.a_contact()
    browser = site.browser("viewer")
    csrf = browser.page("/contacts").one("form", action="/logout").fields()["csrf"]

    changes = (
        "/contacts",
        f"/contacts/{contact}/fields/email",
        f"/contacts/{contact}/delete",
        "/sync",
        "/contacts/import",
    )
    answers = {browser.post(address, data={"csrf": csrf, "value": "x"}).status_code for address in changes}

    assert answers == {403}
    assert not browser.page(f"/contacts/{contact}").has("a", class_="edit")
    assert browser.get("/contacts/new").status_code == 403


def test_nobody_can_ask_for_a_part_without_a_login_either(site: Site) -> None:
    site.add_user("ana@example.org", "owner")

    answer = site.browser().part("/contacts", "list", **{"HX-Current-URL": "http://mercuri.test/contacts?q=bo"})

    assert (answer.status_code, answer.text) == (204, "")
    assert answer.headers["HX-Redirect"] == "/login?next=/contacts%3Fq%3Dbo"
