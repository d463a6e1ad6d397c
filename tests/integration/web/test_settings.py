"""Settings: connect, map, rules, people; each by its forms."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.html import parse
from tests.support.sandbox import running_sandbox
from tests.support.web import Browser, Site, a_site

from mercuri.core.contact import RunId
from mercuri.sandbox import Running
from mercuri.store import portals, runs, users
from mercuri.store.portals import Portal


@pytest.fixture
def hubspot() -> Iterator[Running]:
    with running_sandbox(contacts=5) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, hubspot: Running) -> Iterator[Site]:
    app = {"hubspot_client_id": "sandbox-client", "hubspot_client_secret": "sandbox-secret"}
    with a_site(tmp_path, hubspot_api_url=hubspot.url, hubspot_app_url=hubspot.url, **app) as made:
        yield made


@pytest.fixture
def owner(site: Site, hubspot: Running) -> Browser:
    """A browser of the owner, with the sandbox's portal connected by its token."""
    browser = site.browser("owner")
    form = browser.page("/settings").one("form", action="/settings/connect")
    assert browser.submit(form, token=hubspot.sandbox.static_token).url.path == "/settings/mapping"
    return browser


def _portal(site: Site) -> Portal:
    with site.services.app.db.read(site.services.default_workspace) as tx:
        return portals.all(tx)[0]


def test_a_refused_token_connects_nothing_and_says_why(site: Site) -> None:
    browser = site.browser("owner")
    form = browser.page("/settings").one("form", action="/settings/connect")

    answer = browser.submit(form, token="pat-eu1-not-a-token")

    assert answer.status_code == 422
    assert parse(answer.text).one(role="alert").text
    assert "pat-eu1-not-a-token" not in answer.text
    with site.services.app.db.read(site.services.default_workspace) as tx:
        assert portals.all(tx) == []


def _at_hubspot(browser: Browser) -> dict[str, str]:
    """Press Connect HubSpot; what our address tells HubSpot."""
    begun = browser.get("/oauth/hubspot", follow_redirects=False)
    return {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}


def test_the_way_back_from_hubspot_is_open_only_to_the_session_that_went(site: Site) -> None:
    _at_hubspot(site.browser("owner"))
    stranger = site.browser("owner")

    answer = stranger.get("/oauth/hubspot/callback?code=stolen&state=guessed")

    assert answer.status_code == 422
    assert "does not belong to a connection that you began here" in answer.text


def test_what_hubspot_says_of_a_refusal_is_shown(site: Site) -> None:
    browser = site.browser("owner")
    state = _at_hubspot(browser)["state"]

    answer = browser.get(
        "/oauth/hubspot/callback",
        params={"error": "access_denied", "error_description": "The person said no", "state": state},
    )

    assert answer.status_code == 422
    assert "HubSpot did not connect the account: The person said no" in parse(answer.text).one(role="alert").text


def test_a_property_is_mapped_to_a_field_made_for_it(owner: Browser, site: Site) -> None:
    form = owner.page("/settings/mapping").one("form", action=f"/settings/mapping/{_portal(site).id}/add")

    owner.submit(form, property="city")

    item = next(item for item in _portal(site).settings.mapping if item.property == "city")
    assert (item.field, item.direction.value) == ("custom.city", "both")


def test_a_read_only_property_only_comes_in(owner: Browser, site: Site) -> None:
    form = owner.page("/settings/mapping").one("form", action=f"/settings/mapping/{_portal(site).id}/add")

    owner.submit(form, property="hs_email_optout", direction="both")

    item = next(item for item in _portal(site).settings.mapping if item.property == "hs_email_optout")
    assert item.direction.value == "in"


def test_directions_and_rules_are_saved_together_and_what_is_ticked_goes(owner: Browser, site: Site) -> None:
    form = owner.page("/settings/mapping").one("form", action=f"/settings/mapping/{_portal(site).id}")

    owner.submit(form, **{"direction:phone": "in", "policy:email": "ask", "remove:lastname": "on"})

    saved = {item.property: item for item in _portal(site).settings.mapping}
    assert saved["phone"].direction.value == "in"
    assert saved["email"].policy is not None
    assert saved["email"].policy.value == "ask"
    assert "lastname" not in saved


def test_turning_two_way_on_begins_with_a_preview_and_changes_nothing_yet(owner: Browser, site: Site) -> None:
    form = owner.page("/settings/mapping").one("form", action=f"/settings/mapping/{_portal(site).id}/two-way")

    answer = owner.submit(form)

    assert answer.url.path.startswith("/runs/")
    with site.services.app.db.read(site.services.default_workspace) as tx:
        asked = runs.get(tx, RunId(int(answer.url.path.split("/")[-1])))
    assert asked.preview
    assert asked.options == {"two_way": True}
    assert not _portal(site).settings.two_way


def test_rules_and_schedule_are_saved_and_the_next_times_shown(owner: Browser, site: Site) -> None:
    form = owner.page("/settings/rules").one("form", action=f"/settings/rules/{_portal(site).id}")

    answer = owner.submit(form, conflict_policy="recent", schedule="every 1h", burst_share="50")

    settings = _portal(site).settings
    assert (settings.conflict_policy.value, settings.schedule, settings.burst_share) == ("recent", "every 1h", 50)
    assert "Next:" in parse(answer.text).text


@pytest.mark.parametrize("wrong", [{"schedule": "every day"}, {"delete_brake": "two"}, {"burst_share": "900"}])
def test_rules_that_make_no_sense_are_all_left_as_they_were(owner: Browser, site: Site, wrong: dict[str, str]) -> None:
    form = owner.page("/settings/rules").one("form", action=f"/settings/rules/{_portal(site).id}")

    answer = owner.submit(form, conflict_policy="ask", **wrong)

    assert answer.status_code == 422
    assert parse(answer.text).has(role="alert")
    assert _portal(site).settings.conflict_policy.value == "hubspot"


def test_disconnecting_keeps_contacts_and_settings(owner: Browser, site: Site) -> None:
    id_ = site.a_contact()
    form = owner.page("/settings").one("form", action=f"/settings/portals/{_portal(site).id}/disconnect")

    owner.submit(form)

    assert _portal(site).state == "disconnected"
    assert owner.get(f"/contacts/{id_}").status_code == 200


def test_a_token_is_shown_once_and_its_revocation_ends_it(owner: Browser, site: Site) -> None:
    form = owner.page("/settings/people").one("form", action="/settings/tokens")
    shown = parse(owner.submit(form, name="messenger", role="viewer").text)
    token = shown.one(class_="banner").one("code").text

    again = owner.page("/settings/people")
    owner.submit(again.one("form", action="/settings/tokens/revoke"))

    assert token not in again.text
    with site.services.app.db.read(site.services.default_workspace) as tx:
        assert users.find_token(tx, token) is None


@pytest.mark.parametrize("path", ["/settings/people", "/settings/tokens"])
def test_only_an_owner_makes_users_and_tokens(site: Site, path: str) -> None:
    manager = site.browser("manager")
    csrf = manager.page("/settings/people").one("form", action="/settings/sessions/end").fields()["csrf"]

    answer = manager.post(path, data={"csrf": csrf, "email": "x@example.org", "name": "x", "role": "owner"})

    assert answer.status_code == 403


def test_a_viewer_sees_settings_and_changes_none(owner: Browser, site: Site) -> None:
    viewer = site.browser("viewer")
    csrf = viewer.page("/settings/people").one("form", action="/settings/sessions/end").fields()["csrf"]

    answers = [
        viewer.post(f"/settings/rules/{_portal(site).id}", data={"csrf": csrf, "schedule": "every 1h"}),
        viewer.post(f"/settings/mapping/{_portal(site).id}/add", data={"csrf": csrf, "property": "city"}),
        viewer.post("/settings/connect", data={"csrf": csrf, "token": "pat-x"}),
        viewer.get("/oauth/hubspot"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert _portal(site).settings.schedule == "off"


def test_the_use_of_the_day_and_a_pause_are_shown(site: Site, owner: Browser) -> None:
    app, ws = site.services.app, site.services.default_workspace
    usage = {"day": "2026-11-30", "requests": 12, "daily_used": 300, "daily_limit": 1000}
    with app.db.write(ws) as tx:
        portals.save(tx, _portal(site).id, usage=usage, parked_until=app.now() + timedelta(hours=1))

    shown = owner.page("/settings").text

    assert "12 requests by syncs on 2026-11-30" in shown
    assert "300 of the 1,000" in shown
    assert "30 %" in shown
    assert "HubSpot takes no more requests for now" in shown


def test_the_journal_is_turned_on_with_a_tick_and_has_a_light(owner: Browser, site: Site) -> None:
    action = f"/settings/rules/{_portal(site).id}"
    owner.submit(owner.page("/settings/rules").one("form", action=action), journal="on")
    waiting = owner.get("/settings").text
    app, ws, portal = site.services.app, site.services.default_workspace, _portal(site)
    with app.db.write(ws) as tx:
        portals.save(tx, portal.id, journal={"read_at": app.now().isoformat(), "problem": "HubSpot did not answer."})
    broken = owner.get("/settings").text

    assert portal.settings.journal
    assert "once the first sync is done" in waiting
    assert "HubSpot did not answer. It is tried again every few minutes." in broken
