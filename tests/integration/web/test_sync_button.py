"""The Sync Contacts button in each of its states."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.html import Element, parse
from tests.support.web import Site

from mercuri.core.contact import PortalId
from mercuri.core.settings import PortalSettings
from mercuri.store import portals, runs
from mercuri.store.portals import Portal
from mercuri.store.runs import Run

ACME = PortalId("4242")


def connect(site: Site, portal: PortalId = ACME, name: str = "Acme") -> None:
    app = site.services.app
    with app.db.write(site.services.default_workspace) as tx:
        portals.add(tx, Portal(portal, name, "static"), b"sealed", app.now())


def a_run(site: Site, **values: Any) -> Run:
    app = site.services.app
    with app.db.write(site.services.default_workspace) as tx:
        run = runs.create(tx, ACME, kind="full", trigger="button", at=app.now())
        if values:
            runs.save(tx, run.id, **values)
        return runs.get(tx, run.id)


def button(site: Site, role: str = "manager") -> Element:
    return site.browser(role).page("/contacts").one("div", id="sync")


def test_without_a_connection_it_leads_to_the_settings(site: Site) -> None:
    shown = button(site)

    assert shown.one("a", class_="primary").text == "Connect HubSpot"
    assert shown.one("a", class_="primary").attributes["href"] == "/settings"


def test_at_rest_it_says_when_it_last_ran_and_what_fails(site: Site) -> None:
    connect(site)
    a_run(site, state="done", ended_at=site.clock.now())
    site.clock.advance(4 * 60)

    shown = button(site)

    assert shown.one("button", id="sync-start").text == "Sync Contacts"
    assert "synced 4 min ago" in shown.one("p", class_="sync-note").text
    assert "data-events" not in shown.attributes


def test_it_says_when_the_schedule_comes_next(site: Site) -> None:
    connect(site)
    a_run(site, state="done", ended_at=site.clock.now())
    with site.services.app.db.write(site.services.default_workspace) as tx:
        portals.update_settings(tx, ACME, PortalSettings(schedule="every 15m"))
        portals.save(tx, ACME, next_at=site.clock.now() + timedelta(minutes=11))

    assert "next in 11 min" in button(site).text


def test_pressing_it_starts_a_run_and_shows_it_after_a_reload_too(site: Site) -> None:
    connect(site)
    browser = site.browser("manager")
    form = browser.page("/contacts").one("div", id="sync").every("form", action="/sync")[0]

    answer = browser.post("/sync", data=form.fields(), headers={"HX-Request": "true"})
    reloaded = browser.page("/contacts").one("div", id="sync")

    for shown in (parse(answer.text).one("div", id="sync"), reloaded):
        assert shown.attributes["data-state"] == "queued"
        assert shown.attributes["data-events"] == "/runs/1/events"
        assert shown.attributes["data-poll"] == "/sync/status"


def test_pressing_it_twice_shows_the_same_run(site: Site) -> None:
    connect(site)
    browser = site.browser("manager")
    form = browser.page("/contacts").one("div", id="sync").every("form", action="/sync")[0]

    first, second = (browser.post("/sync", data=form.fields(), headers={"HX-Request": "true"}) for _ in range(2))

    assert parse(first.text).one("div", id="sync").attributes["data-run"] == "1"
    assert parse(second.text).one("div", id="sync").attributes["data-run"] == "1"


def test_a_running_one_tells_stage_counts_and_time_left(site: Site) -> None:
    connect(site)
    began = site.clock.now()
    a_run(site, state="running", stage="observe", started_at=began, expected=10_000, counts={"fetched": 4_100})
    site.clock.advance(41 * 60)

    shown = button(site)

    assert shown.one("a", class_="button").text == "Syncing 41 %"
    assert shown.one("p").text == "reading HubSpot, 4,100 of 10,000, about 59 min left"
    assert (shown.one("progress").attributes["value"], shown.one("progress").attributes["max"]) == ("4100", "10000")


def test_a_running_one_that_knows_no_end_promises_none(site: Site) -> None:
    connect(site)
    a_run(site, state="running", stage="match", started_at=site.clock.now(), counts={"fetched": 12})

    shown = button(site)

    assert shown.one("p").text == "matching people, 12 read"
    assert "value" not in shown.one("progress").attributes


def test_a_waiting_one_is_no_error_and_says_when_it_goes_on(site: Site) -> None:
    connect(site)
    resume = site.clock.now() + timedelta(minutes=42)
    a_run(site, state="waiting", message="HubSpot's daily limit is used up.", resume_at=resume)

    shown = button(site)

    assert shown.one("a", class_="button").text == "Waiting"
    assert shown.one("p").text == "HubSpot's daily limit is used up. Goes on at 9 Mar 2026, 09:42 UTC"
    assert not shown.has("span", class_="bad")


@pytest.mark.parametrize(("state", "label"), [("failed", "Retry"), ("stopped", "Needs a look")])
def test_one_that_ended_badly_says_why_and_leads_on(site: Site, state: str, label: str) -> None:
    connect(site)
    a_run(site, state=state, message="This would archive 412 of 500 contacts.", ended_at=site.clock.now())

    shown = button(site)

    assert label in [element.text for element in shown.every(class_="button")]
    assert shown.one("span", class_="bad").text == "This would archive 412 of 500 contacts."
    assert "/runs/1" in [link.attributes["href"] for link in shown.every("a")]


def test_a_portal_that_lost_its_access_asks_to_be_connected_again(site: Site) -> None:
    connect(site)
    with site.services.app.db.write(site.services.default_workspace) as tx:
        portals.set_state(tx, ACME, "reconnect", "HubSpot no longer accepts the token.")

    shown = button(site)

    assert shown.every("a")[0].text == "Reconnect HubSpot"
    assert "HubSpot no longer accepts the token." in shown.text
    assert not shown.has("button", id="sync-start")


def test_a_live_one_can_be_cancelled_from_the_button(site: Site) -> None:
    connect(site)
    a_run(site)
    browser = site.browser("manager")
    form = browser.page("/contacts").one("form", action="/sync/1/cancel")

    answer = browser.post(form.attributes["hx-post"], data=form.fields(), headers={"HX-Request": "true"})

    assert parse(answer.text).one("div", id="sync").attributes["data-state"] == "idle"


def test_a_preview_leads_to_its_run(site: Site) -> None:
    connect(site)
    browser = site.browser("manager")
    form = next(f for f in browser.page("/contacts").every("form", action="/sync") if "preview" in f.fields())

    answer = browser.post("/sync", data=form.fields(), headers={"HX-Request": "true"})

    with site.services.app.db.read(site.services.default_workspace) as tx:
        assert runs.recent(tx)[0].preview
    assert answer.headers["HX-Redirect"] == "/runs/1"


def test_with_several_portals_one_can_be_chosen(site: Site) -> None:
    connect(site)
    connect(site, PortalId("7"), "Beta")
    browser = site.browser("manager")
    form = next(f for f in browser.page("/contacts").every("form", action="/sync") if f.fields().get("portal") == "7")

    browser.submit(form)

    with site.services.app.db.read(site.services.default_workspace) as tx:
        assert [run.portal_id for run in runs.recent(tx)] == ["7"]


def test_a_viewer_watches_but_cannot_press(site: Site) -> None:
    connect(site)
    assert not button(site, "viewer").has("button")

    a_run(site, state="running", started_at=site.clock.now())

    shown = button(site, "viewer")
    assert shown.attributes["data-state"] == "running"
    assert not shown.has("button")


def test_without_a_portal_nothing_is_started(site: Site) -> None:
    browser = site.browser("manager")
    csrf = browser.page("/contacts").one("form", action="/logout").fields()["csrf"]

    answer = browser.post("/sync", data={"csrf": csrf})

    assert answer.status_code == 422
    assert "No HubSpot account is connected." in answer.text


def test_an_empty_list_fills_by_itself_while_the_first_run_is_live(site: Site) -> None:
    connect(site)
    a_run(site, state="running", started_at=site.clock.now())
    browser = site.browser("viewer")

    waiting = browser.page("/contacts").one("div", id="list")
    site.a_contact()
    filled = parse(browser.part(waiting.attributes["hx-get"], "list").text).one("div", id="list")

    assert "Contacts are on their way" in waiting.text
    assert "every 2s" in waiting.attributes["hx-trigger"]
    assert "Ana Duarte" in filled.text
    assert "every" not in filled.attributes["hx-trigger"]
