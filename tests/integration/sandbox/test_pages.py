"""The pages: what a person does there is what HubSpot's screen would do."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.support.sandbox import SandboxTransport

from mercuri.sandbox import Sandbox


@pytest.fixture
def web(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(transport=SandboxTransport(sandbox), base_url="http://sandbox", follow_redirects=True) as client:
        yield client


def test_a_contact_is_made_found_and_changed(sandbox: Sandbox, web: httpx.Client, api: httpx.Client) -> None:
    made = web.post("/contact/new", data={"firstname": "Ana", "city": "Lyon", "sms_opt_in": "true"})
    record_id = sandbox.contact_ids()[0]
    web.post(f"/contact/{record_id}", data={"firstname": "Ana", "city": "Paris", "sms_opt_in": ""})

    found = web.get("/", params={"q": "ana paris"})

    assert "Ana" in made.text
    assert f"/contact/{record_id}" in found.text
    assert f"/contact/{record_id}" not in web.get("/", params={"q": "lyon"}).text
    got = api.get(
        f"/{record_id}", params={"properties": "city,sms_opt_in", "propertiesWithHistory": "city,firstname"}
    ).json()
    assert got["properties"]["sms_opt_in"] is None
    history = got["propertiesWithHistory"]
    assert [each["sourceType"] for each in history["city"]] == ["CRM_UI", "CRM_UI"]
    assert len(history["firstname"]) == 1


def test_what_hubspot_refuses_is_said_on_the_page(sandbox: Sandbox, web: httpx.Client) -> None:
    sandbox.create({"email": "ana@example.com"})

    answer = web.post("/contact/new", data={"email": "ana@example.com"})

    assert answer.status_code == 409
    assert "Contact already exists" in answer.text


def test_a_contact_is_deleted_restored_merged_and_erased(sandbox: Sandbox, web: httpx.Client) -> None:
    ana, bo = sandbox.create({"firstname": "Ana"}), sandbox.create({"firstname": "Bo"})

    web.post(f"/contact/{ana}/archive")
    assert sandbox.contact_ids() == [bo]
    assert f"/contact/{ana}" in web.get("/", params={"archived": "1"}).text
    assert "Restore" in web.get(f"/contact/{ana}").text
    web.post(f"/contact/{ana}/restore")
    merged = web.post(f"/contact/{ana}/merge", data={"other": bo})
    [survivor] = sandbox.contact_ids()
    assert merged.url.path == f"/contact/{survivor}"
    assert "was merged into this one" in web.get(f"/contact/{bo}").text
    web.post(f"/contact/{survivor}/erase")
    assert sandbox.contact_ids() == []


def test_a_value_cannot_break_the_page(sandbox: Sandbox, web: httpx.Client) -> None:
    record_id = sandbox.create({"firstname": '"><script>alert(1)</script>'})

    for page in ("/", f"/contact/{record_id}", "/?q=%22%3E%3Cscript%3E"):
        assert "<script" not in web.get(page).text


def test_requests_are_shown_without_what_they_carried(web: httpx.Client, api: httpx.Client) -> None:
    api.get("", params={"properties": "city"})

    shown = web.get("/requests").text

    assert "/crm/objects/2026-09/contacts" in shown
    assert "pat-sandbox" not in shown


def test_a_page_that_is_none_is_not_found(web: httpx.Client) -> None:
    assert web.get("/contact/123").status_code == 404
    assert web.post("/contact/123/dance").status_code == 404
