"""Runs and conflicts on the screen, with a real sandbox behind a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.support.html import parse
from tests.support.sandbox import SandboxTransport
from tests.support.web import OWNER, Browser, Site, a_site

from mercuri.core.contact import ContactId, PortalId
from mercuri.engine import edit
from mercuri.engine import portal as engine_portal
from mercuri.engine import run as engine_run
from mercuri.sandbox import Sandbox
from mercuri.store import conflicts, contacts, failures, runs
from mercuri.store.failures import Failure
from mercuri.store.runs import Run
from mercuri.web.app import create_app


class Hall:
    """A site whose HubSpot is a sandbox in the same process, and a person in front of it."""

    def __init__(self, site: Site, sandbox: Sandbox) -> None:
        http = httpx.Client(transport=SandboxTransport(sandbox), base_url="http://hubspot.test")
        services = replace(site.services, app=replace(site.services.app, http=http))
        self.site, self.sandbox = replace(site, web=create_app(services), services=services), sandbox
        self.app, self.ws = services.app, services.default_workspace
        self.portal: PortalId = engine_portal.connect_static(self.app, self.ws, sandbox.static_token, OWNER).id

    def browser(self, role: str = "owner") -> Browser:
        return self.site.browser(role)

    def sync(self, **options: bool) -> Run:
        """Press the button and let a worker do it."""
        self.site.clock.advance(120)
        asked = engine_run.request(self.app, self.ws, self.portal, trigger="button", actor=OWNER, **options)
        return engine_run.execute(self.app, self.ws, asked.id, owner="test")

    def newest(self) -> Run:
        with self.app.db.read(self.ws) as tx:
            return runs.recent(tx, limit=1)[0]


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    with a_site(tmp_path, hubspot_api_url="http://hubspot.test") as site:
        made = Hall(site, Sandbox(contacts=3, now=site.clock.now))
        yield made
        made.app.http.close()


def _two_way(hall: Hall, **rules: object) -> tuple[str, ContactId]:
    """Two-way sync with these rules, and one person on both sides: record and contact."""
    record = hall.sandbox.create({"firstname": "Ana", "lastname": "Duarte", "email": "ana@example.org"})
    hall.sync()
    engine_portal.change_settings(hall.app, hall.ws, hall.portal, {"two_way": True, **rules}, OWNER)
    hall.sync()
    with hall.app.db.read(hall.ws) as tx:
        (contact,) = contacts.holders(tx, "email", ["ana@example.org"])["ana@example.org"]
    return record, contact


def test_a_run_shows_counts_that_add_up_and_the_list_leads_to_it(hall: Hall) -> None:
    done = hall.sync()
    browser = hall.browser()

    row = browser.page("/runs").one("tr", id=f"run-{done.id}")
    text = browser.page(row.one("a").attributes["href"]).one(id="run-live").text

    assert "3 fetched = 3 new + 0 updated + 0 unchanged + 0 excluded + 0 failing" in text


def test_what_changed_is_listed_searched_and_downloaded(hall: Hall) -> None:
    record, _ = _two_way(hall)
    hall.sandbox.update(record, {"lastname": "=Vale"})
    done = hall.sync()
    browser = hall.browser()

    shown = browser.page(f"/runs/{done.id}?q=vale").one(id="changes").text
    hidden = browser.page(f"/runs/{done.id}?q=nothing-like-it").one(id="changes").text
    file = browser.get(f"/runs/{done.id}/changes.csv").text

    assert "Duarte" in shown
    assert "=Vale" in shown
    assert "No change holds" in hidden
    assert "Duarte,'=Vale" in file


def test_a_preview_changes_nothing_until_it_is_applied(hall: Hall) -> None:
    record, contact = _two_way(hall)
    hall.sandbox.update(record, {"lastname": "Vale"})
    shown = hall.sync(preview=True)
    browser = hall.browser()
    page = browser.page(f"/runs/{shown.id}")
    before = browser.page(f"/contacts/{contact}").one(id="values").text

    browser.submit(page.one("form", action=f"/runs/{shown.id}/apply"))
    engine_run.execute(hall.app, hall.ws, hall.newest().id, owner="test")

    assert "Nothing has been changed yet" in page.text
    assert "Duarte" in before
    assert "Vale" in browser.page(f"/contacts/{contact}").one(id="values").text


def test_undo_is_a_run_of_its_own_and_says_so_on_both(hall: Hall) -> None:
    record, contact = _two_way(hall)
    hall.sandbox.update(record, {"lastname": "Vale"})
    done = hall.sync()
    browser = hall.browser()

    answer = browser.submit(browser.page(f"/runs/{done.id}").one("form", action=f"/runs/{done.id}/undo"))
    undoing = engine_run.execute(hall.app, hall.ws, hall.newest().id, owner="test")

    assert answer.url.path == f"/runs/{undoing.id}"
    assert f"undone by run {undoing.id}" in browser.page(f"/runs/{done.id}").text
    assert "Duarte" in browser.page(f"/contacts/{contact}").one(id="values").text


def test_the_events_of_a_run_end_with_it(hall: Hall) -> None:
    done = hall.sync()

    events = hall.browser().get(f"/runs/{done.id}/events?part=run")

    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.text.count("event: run\n") == 1
    assert 'data-state="done"' in events.text


def _in_conflict(hall: Hall) -> tuple[str, ContactId]:
    record, contact = _two_way(hall, conflict_policy="ask")
    edit.update_contact(hall.app, hall.ws, contact, {"first_name": "Anna"}, OWNER)
    hall.sandbox.update(record, {"firstname": "Anita"})
    hall.sync()
    return record, contact


@pytest.mark.parametrize(
    ("take", "value", "result"), [("mercuri", "", "Anna"), ("hubspot", "", "Anita"), ("other", "Ann", "Ann")]
)
def test_a_conflict_is_settled_as_a_person_chooses(hall: Hall, take: str, value: str, result: str) -> None:
    record, contact = _in_conflict(hall)
    browser = hall.browser()
    page = browser.page("/conflicts")
    with hall.app.db.read(hall.ws) as tx:
        (open_one,) = conflicts.recent(tx)
    form = page.one("tr", id=f"conflict-{open_one.id}").every("form", action=f"/conflicts/{open_one.id}")[0]

    browser.submit(form, take=take, value=value)
    hall.sync()

    assert "Anna" in page.text
    assert "Anita" in page.text
    assert result in browser.page(f"/contacts/{contact}").one(id="values").text
    assert hall.sandbox.contact(record)["firstname"] == result
    assert "Nothing waits for you" in browser.page("/conflicts").text


def test_conflicts_of_one_field_are_settled_together(hall: Hall) -> None:
    _in_conflict(hall)
    browser = hall.browser()
    csrf = browser.page("/conflicts").every("form")[0].fields()["csrf"]

    browser.post("/conflicts", data={"csrf": csrf, "field": "first_name", "take": "hubspot"})

    with hall.app.db.read(hall.ws) as tx:
        assert conflicts.count_open(tx) == 0


def test_the_value_that_a_rule_let_lose_can_be_put_back(hall: Hall) -> None:
    record, contact = _two_way(hall, conflict_policy="hubspot")
    edit.update_contact(hall.app, hall.ws, contact, {"first_name": "Anna"}, OWNER)
    hall.sandbox.update(record, {"firstname": "Anita"})
    hall.sync()
    browser = hall.browser()
    page = browser.page("/conflicts?state=decided")
    (form,) = [form for form in page.every("form") if form.attributes.get("action", "").endswith("/other")]

    browser.submit(form)

    assert "Anna" in browser.page(f"/contacts/{contact}").one(id="values").text


def _failure(hall: Hall, run: Run, contact: ContactId) -> Failure:
    what, at = f"contact:{contact}", hall.site.clock.now()
    return Failure(hall.portal, what, "invalid", "It is refused.", "Change it.", at, contact, run=run.id)


def _fails(hall: Hall, run: Run, contact: ContactId) -> None:
    with hall.app.db.write(hall.ws) as tx:
        failures.put(tx, _failure(hall, run, contact))
        runs.save(tx, run.id, counts={**run.counts, "failing": 1})


def test_what_fails_is_named_in_its_run_and_in_the_list_also_where_no_record_is_linked(hall: Hall) -> None:
    run = hall.sync()
    contact = ContactId(hall.site.a_contact(first_name="Cleo", last_name="Marsh"))
    _fails(hall, run, contact)
    browser = hall.browser()

    card = browser.page(f"/runs/{run.id}").one("section", id="failing")
    row = browser.page("/contacts?health=failing").one("tr", id=f"contact-{contact}")

    assert card.one("a").text == "Cleo Marsh"
    assert "failing" in row.text
    assert "not linked" not in row.text


def test_a_run_says_where_the_rest_of_its_failures_is_listed(hall: Hall) -> None:
    first, contact = hall.sync(), ContactId(hall.site.a_contact())
    _fails(hall, first, contact)
    second = hall.sync()
    listed = hall.browser().page(f"/runs/{first.id}")
    _fails(hall, second, contact)

    moved = hall.browser().page(f"/runs/{first.id}")

    assert not listed.has("p", id="elsewhere")
    assert "1 thing that failed in this run is not listed here any more" in moved.one("p", id="elsewhere").text
    assert moved.one("p", id="elsewhere").one("a").attributes["href"] == "/contacts?health=failing"
    assert hall.browser().page(f"/runs/{second.id}").has("section", id="failing")


def test_a_viewer_sees_runs_and_conflicts_and_starts_nothing(hall: Hall) -> None:
    _in_conflict(hall)
    done = hall.newest()
    viewer = hall.browser("viewer")
    csrf = viewer.page("/settings/people").one("form", action="/settings/sessions/end").fields()["csrf"]

    refused = [
        viewer.post(address, data={"csrf": csrf, "take": "hubspot", "field": "first_name"}).status_code
        for address in (f"/runs/{done.id}/undo", f"/runs/{done.id}/retry", "/conflicts", "/conflicts/1")
    ]

    assert refused == [403] * 4
    assert parse(viewer.get(f"/runs/{done.id}").text).one(id="run-live")


def test_a_run_tells_its_rate_and_its_share_of_hubspots_limit(hall: Hall) -> None:
    done = hall.sync()
    with hall.app.db.write(hall.ws) as tx:
        calls = {**done.calls, "list": 40, "search": 70, "read": 4, "write": 0, "other": 6}
        counts = {**done.counts, "fetched": 4000, "created": 4000}
        began = hall.site.clock.now() - timedelta(seconds=10)
        ended = hall.site.clock.now()
        runs.save(tx, done.id, calls=calls, counts=counts, started_at=began, ended_at=ended)

    text = hall.browser().page(f"/runs/{done.id}").text

    assert "10 s, 400 contacts a second, 50 % of HubSpot's limit" in " ".join(text.split())
