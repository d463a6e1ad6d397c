"""What every answer promises: headers, errors in the right form, health, nothing inline."""

from __future__ import annotations

import re

import pytest
from fastapi import APIRouter
from tests.support.html import Element, parse
from tests.support.web import Site

from mercuri.errors import RateLimited, SafetyStop, Unavailable
from mercuri.store import users
from mercuri.web.app import create_app
from mercuri.web.pages import OPEN_ROUTERS, ROUTERS
from mercuri.web.pages.setup import setup_address
from mercuri.web.render import STATIC

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self' https://app.hubspot.com; frame-ancestors 'none'"
)


def inline_parts(page: Element) -> list[str]:
    """What the content policy would refuse."""
    found = [f"style of {e.tag}" for e in page.every() if "style" in e.attributes]
    found += [f"{name} of {e.tag}" for e in page.every() for name in e.attributes if name.startswith(("on", "hx-on"))]
    return found + [e.tag for e in page.every() if e.tag in ("script", "style") and e.text]


def test_every_answer_carries_the_content_policy_and_is_not_kept(site: Site) -> None:
    browser = site.browser("viewer")

    for address in ("/contacts", "/nothing", "/api/v1/nothing", "/healthz", "/login"):
        headers = browser.get(address).headers
        assert headers["content-security-policy"] == POLICY, address
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_static_files_are_kept_for_good_under_their_mark_and_asked_for_again_without(site: Site) -> None:
    browser = site.browser("viewer")

    marked = browser.page("/contacts").one("link", rel="stylesheet").attributes["href"]
    mark = marked.split("/")[2]

    assert "immutable" in browser.get(marked).headers["cache-control"]
    assert "immutable" in browser.get(f"/static/{mark}/keys.js").headers["cache-control"]
    assert browser.get("/static/0123456789ab/keys.js").headers["cache-control"] == "no-cache"
    assert browser.get("/static/keys.js").headers["cache-control"] == "no-cache"
    assert browser.get("/static/../app.py").status_code == 404


def test_no_page_has_anything_inline(site: Site) -> None:
    contact = site.a_contact(phone="+44 7911 123456")
    browser = site.browser("owner")

    for address in ("/contacts", f"/contacts/{contact}", "/contacts/new", "/contacts/import", "/welcome", "/nothing"):
        assert inline_parts(parse(browser.get(address).text)) == [], address


def test_no_script_or_style_reaches_out_to_another_site() -> None:
    ours = [file for file in STATIC.rglob("*") if file.suffix in (".js", ".css") and "vendor" not in file.parts]

    assert len(ours) > 5
    for file in ours:
        assert not re.search(r"https?://|//[a-z]+\.[a-z]{2,}", file.read_text()), file.name


def test_every_route_needs_a_login_but_the_named_ones(site: Site) -> None:
    site.add_user("ana@example.org", "owner")
    browser = site.browser()

    open_now = set()
    for router in (*OPEN_ROUTERS, *ROUTERS):
        for route in router.routes:
            address = re.sub(r"{\w+}", "1", route.path)  # type: ignore[attr-defined]  # all are API routes
            if "GET" in route.methods and browser.get(address).url.path == address:  # type: ignore[attr-defined]
                open_now.add(address)

    assert open_now == {"/login"}


def test_an_unknown_address_is_a_page_for_people_and_a_document_for_programs(site: Site) -> None:
    browser = site.browser("viewer")

    page, document = browser.get("/nothing"), browser.get("/api/nothing")

    assert page.status_code == document.status_code == 404
    assert "There is nothing at this address." in parse(page.text).one("main").text
    assert document.headers["content-type"] == "application/problem+json"
    assert document.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address.",
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RateLimited("HubSpot asks us to wait.", retry_after=12.4), 503),
        (Unavailable("HubSpot does not answer."), 502),
        (SafetyStop("This would archive 412 of 500 contacts. Nothing was changed."), 409),
    ],
)
def test_an_expected_error_says_its_sentence(site: Site, error: Exception, status: int) -> None:
    browser = site.browser("viewer")
    _add_failing_route(site, error)

    page, part = browser.get("/fails"), browser.part("/fails")

    assert (page.status_code, part.status_code) == (status, status)
    assert str(error) in parse(page.text).text
    assert str(error) in parse(part.text).one(class_="toast").text
    assert part.headers["HX-Retarget"] == "#toasts"
    assert page.headers.get("Retry-After") == ("12" if isinstance(error, RateLimited) else None)


def _add_failing_route(site: Site, error: Exception) -> None:
    router = APIRouter()

    @router.get("/fails")
    def fails() -> None:
        raise error

    site.web.include_router(router)


def test_an_unforeseen_error_tells_a_reference_and_nothing_else(site: Site) -> None:
    _add_failing_route(site, ValueError("a secret of the inside"))

    answer = site.browser("viewer").get("/fails")

    assert answer.status_code == 500
    assert "a secret of the inside" not in answer.text
    assert re.search(r"under [0-9a-f]{8}\.", parse(answer.text).text)


def test_a_number_that_no_contact_can_have_is_refused_not_broken(site: Site) -> None:
    browser = site.browser("viewer")

    statuses = {number: browser.get(f"/contacts/{number}").status_code for number in ("7", "0", "9" * 30, "x")}

    assert statuses == {"7": 404, "0": 422, "9" * 30: 422, "x": 422}


def test_a_body_that_is_too_large_is_refused_before_it_is_read(site: Site) -> None:
    answer = site.browser().post("/login", data={"email": "a" * 5_000_000})

    assert answer.status_code == 413


def test_health_tells_alive_from_ready(site: Site) -> None:
    browser = site.browser()

    assert browser.get("/healthz").text == "ok"
    assert browser.get("/readyz").json() == {"ready": True, "problems": []}

    with site.services.app.db.write(site.services.default_workspace) as tx:
        tx.execute("UPDATE alembic_version SET version_num = '0000'")
    answer = browser.get("/readyz")

    assert answer.status_code == 503
    assert "mercuri db upgrade" in answer.json()["problems"][0]


def test_metrics_need_a_token(site: Site) -> None:
    app = site.services.app
    with app.db.write(site.services.default_workspace) as tx:
        token = users.create_token(tx, "prometheus", "viewer", app.now())
    browser = site.browser()

    closed = browser.get("/metrics")
    opened = browser.get("/metrics", headers={"Authorization": f"Bearer {token}"})

    assert (closed.status_code, closed.headers["content-type"]) == (401, "application/problem+json")
    assert 'mercuri_failing{workspace="1"} 0.0' in opened.text
    assert 'mercuri_http_request_seconds_count{method="GET",status="4xx"} 1.0' in opened.text


def test_behind_https_the_cookie_and_the_browser_insist_on_it(site: Site) -> None:
    secured = site.services.settings.model_copy(update={"public_url": "https://contacts.example.org"})
    web = create_app(type(site.services)(site.services.app, secured, site.services.default_workspace))
    browser = Site(web, site.services, site.clock).browser()

    code = setup_address(site.services.app).partition("?code=")[2]

    data = {"code": code, "email": "ana@example.org", "password": "a long enough sentence"}
    answer = browser.post("/setup", data=data)

    first = answer.history[0] if answer.history else answer
    assert "Secure" in first.headers["set-cookie"]
    assert first.headers["strict-transport-security"] == "max-age=31536000"


def test_light_or_dark_and_the_keys_are_remembered_by_the_browser(site: Site) -> None:
    browser = site.browser("viewer")
    page = browser.page("/contacts")
    theme, keys = page.every("form", action="/preferences")

    chosen = parse(browser.submit(theme).text)
    assert chosen.one("html").attributes["data-theme"] == "dark"

    chosen = parse(browser.submit(keys).text)
    assert chosen.one("html").attributes["data-shortcuts"] == "off"
    assert "data-theme" in chosen.one("html").attributes
