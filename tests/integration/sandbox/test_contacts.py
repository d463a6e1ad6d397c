"""Single contacts on the 2026-09 paths: reading, listing, writing, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.support.clock import Clock

from mercuri.sandbox import Sandbox

NewContact = Callable[..., str]


def test_a_contact_reads_back_as_it_was_written_with_its_email_in_lower_case(
    api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(email="Ana@Example.com", city="Lyon")

    got = api.get(f"/{record_id}", params={"properties": "email,city,phone,nonsense"}).json()

    assert got["properties"]["email"] == "ana@example.com"
    assert got["properties"]["city"] == "Lyon"
    assert got["properties"]["phone"] is None
    assert "nonsense" not in got["properties"]
    assert got["properties"]["createdate"] == got["createdAt"] == "2026-03-09T09:00:00Z"


def test_without_properties_an_answer_holds_the_six_default_ones(api: httpx.Client, new_contact: NewContact) -> None:
    got = api.get(f"/{new_contact()}").json()

    assert set(got["properties"]) == {
        "createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname",
    }  # fmt: skip


def test_an_empty_property_is_null_or_left_out(sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact()
    sandbox.switch(empty_property="random")

    answers = [api.get(f"/{record_id}", params={"properties": "city"}).json()["properties"] for _ in range(40)]

    assert {"city" in each for each in answers} == {True, False}


def test_a_contact_is_found_by_its_email_and_by_a_unique_property(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(email="ana@example.com", customer_number="C-1")

    by_email = api.get("/ANA%40example.com", params={"idProperty": "email"}).json()
    by_number = api.get("/C-1", params={"idProperty": "customer_number"}).json()
    by_city = api.get("/Lyon", params={"idProperty": "city"})

    assert by_email["id"] == by_number["id"] == record_id
    assert by_city.status_code == 400


def test_an_unknown_contact_is_not_found(api: httpx.Client) -> None:
    answer = api.get("/123")

    assert answer.status_code == 404
    assert answer.json()["category"] == "OBJECT_NOT_FOUND"


def test_an_email_in_use_is_a_conflict_that_names_the_contact(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(email="ana@example.com")

    answer = api.post("", json={"properties": {"email": "ANA@example.com"}})

    assert answer.status_code == 409
    assert answer.json()["message"] == f"Contact already exists. Existing ID: {record_id}"
    assert answer.json()["category"] == "CONFLICT"


def test_an_email_cannot_be_changed_to_one_in_use(api: httpx.Client, new_contact: NewContact) -> None:
    new_contact(email="bo@example.com")
    record_id = new_contact(email="ana@example.com")

    assert api.patch(f"/{record_id}", json={"properties": {"email": "bo@example.com"}}).status_code == 409
    assert api.patch(f"/{record_id}", json={"properties": {"email": "ana@example.com"}}).status_code == 200


def test_a_changed_email_frees_the_old_one(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(email="ana@example.com")
    api.patch(f"/{record_id}", json={"properties": {"email": "ana@example.org"}})

    assert api.post("", json={"properties": {"email": "ana@example.com"}}).status_code == 201


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("nope", "x", "PROPERTY_DOESNT_EXIST"),
        ("email", "nobody", "INVALID_EMAIL"),
        ("sms_consent", "yes", "INVALID_OPTION"),
        ("sms_opt_in", "ja", "INVALID_OPTION"),
        ("interests", "cycling;flying", "INVALID_OPTION"),
        ("points", "many", "INVALID_INTEGER"),
        ("sms_opted_in_on", "1635535865", "INVALID_DATE"),
        ("closedate", "tomorrow", "INVALID_DATE"),
        ("hs_object_id", "1", "UNWRITABLE_PROPERTY"),
        ("hs_email_optout", "true", "UNWRITABLE_PROPERTY"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(api: httpx.Client, name: str, value: str, code: str) -> None:
    answer = api.post("", json={"properties": {"firstname": "Ana", name: value}})

    assert answer.status_code == 400
    body = answer.json()
    items = json.loads(body["message"].removeprefix("Property values were not valid: "))
    assert [(each["name"], each["error"], each["isValid"]) for each in items] == [(name, code, False)]
    assert body["errors"][0]["context"] == {"propertyName": [name]}


def test_one_bad_value_fails_the_whole_write(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact()

    api.patch(f"/{record_id}", json={"properties": {"city": "Paris", "nope": "1"}})

    assert api.get(f"/{record_id}", params={"properties": "city"}).json()["properties"]["city"] is None


@pytest.mark.parametrize(
    ("name", "sent", "stored"),
    [
        ("sms_opted_in_on", "1635465600000", "2021-10-29"),
        ("sms_opted_in_on", "2021-10-29", "2021-10-29"),
        ("closedate", "1500", "1970-01-01T00:00:01.500Z"),
        ("points", "5000.00", "5000.00"),
        ("city", "  Lyon ", "Lyon"),
        ("phone", "+33 6 12-34.56 78", "+33612345678"),
        ("phone", "06 12 34 56 78", "06 12 34 56 78"),
        ("interests", "cycling;running", "cycling;running"),
    ],
)
def test_values_are_stored_in_hubspots_form(
    api: httpx.Client, new_contact: NewContact, name: str, sent: str, stored: str
) -> None:
    record_id = new_contact(**{name: sent})

    assert api.get(f"/{record_id}", params={"properties": name}).json()["properties"][name] == stored


def test_a_leading_semicolon_appends_to_a_multi_checkbox(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(interests="cycling")

    answer = api.patch(f"/{record_id}", json={"properties": {"interests": ";running"}})

    assert answer.json()["properties"]["interests"] == "cycling;running"


def test_a_cleared_value_is_answered_as_blank_and_read_as_null(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(city="Lyon")

    written = api.patch(f"/{record_id}", json={"properties": {"city": ""}}).json()

    assert written["properties"]["city"] == ""
    assert api.get(f"/{record_id}", params={"properties": "city"}).json()["properties"]["city"] is None


def test_a_write_answers_only_what_was_sent(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(city="Lyon", email="ana@example.com")

    written = api.patch(f"/{record_id}", json={"properties": {"phone": "415 555 0132"}}).json()["properties"]

    assert "city" not in written
    assert "email" not in written
    assert written["hs_calculated_phone_number"] == "+14155550132"


def test_a_write_that_changes_nothing_moves_no_date(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(city="Lyon")
    clock.advance(60)

    idle = api.patch(f"/{record_id}", json={"properties": {"city": "Lyon"}}).json()
    sandbox.switch(idle_write_bumps=True)
    bumped = api.patch(f"/{record_id}", json={"properties": {"city": "Lyon"}}).json()

    assert idle["updatedAt"] == "2026-03-09T09:00:00Z"
    assert bumped["updatedAt"] == "2026-03-09T09:01:00Z"


def test_hubspot_itself_bumps_a_young_contact(clock: Clock, sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.switch(bumps_after_create=5)
    record_id = api.post("", json={"properties": {"firstname": "Ana"}}).json()["id"]
    seen = set()

    for _ in range(90):
        clock.advance(10)
        seen.add(api.get(f"/{record_id}").json()["updatedAt"])

    assert len(seen) >= 5


def test_a_phone_alone_makes_a_contact_on_old_paths_only(sandbox: Sandbox, api: httpx.Client) -> None:
    body = {"properties": {"phone": "415 555 0132"}}

    assert api.post("", json=body).status_code == 400
    assert api.post("http://sandbox/crm/v3/objects/contacts", json=body).status_code == 201
    assert api.post("http://sandbox/crm/objects/2026-03/contacts", json=body).status_code == 201
    sandbox.switch(phone_only="accept")
    assert api.post("", json=body).status_code == 201


def test_what_the_admin_requires_is_enforced_on_the_new_paths_alone(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.require("city")
    body = {"properties": {"firstname": "Ana"}}

    refused = api.post("", json=body)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "MISSING_REQUIRED_PROPERTY"
    assert refused.json()["errors"][0]["context"] == {"propertyName": ["city"]}
    assert api.post("http://sandbox/crm/v3/objects/contacts", json=body).status_code == 201


def test_a_new_contact_is_a_lead_and_a_stage_never_moves_back(api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact()

    def stage(value: str) -> Any:
        api.patch(f"/{record_id}", json={"properties": {"lifecyclestage": value}})
        return api.get(f"/{record_id}", params={"properties": "lifecyclestage"}).json()["properties"]["lifecyclestage"]

    assert stage("lead") == "lead"
    assert stage("customer") == "customer"
    assert stage("lead") == "customer"
    assert stage("") is None
    assert stage("lead") == "lead"


def test_the_list_ends_after_every_contact_came_once_in_ascending_order(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.add_contacts(250)
    ids: list[int] = []
    after: dict[str, str] = {}

    while True:
        page = api.get("", params={"limit": 100, **after}).json()
        ids += [int(each["id"]) for each in page["results"]]
        if "paging" not in page:
            break
        assert int(page["paging"]["next"]["after"]) == ids[-1] + 1
        after = {"after": page["paging"]["next"]["after"]}

    assert ids == sorted(set(ids))
    assert list(map(str, ids)) == sandbox.contact_ids()


def test_a_cursor_nobody_gave_is_refused_unless_the_portal_takes_it(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.add_contacts(30)
    chosen = sandbox.contact_ids()[20]

    refused = api.get("", params={"after": chosen})
    sandbox.switch(list_after="works")
    taken = api.get("", params={"after": chosen})

    assert refused.status_code == 400
    assert [each["id"] for each in taken.json()["results"]] == sandbox.contact_ids()[20:]


def test_an_unordered_list_still_gives_every_contact_once(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.add_contacts(50)
    sandbox.switch(list_order="none")
    ids: list[str] = []
    after: dict[str, str] = {}

    while True:
        page = api.get("", params={"limit": 20, **after}).json()
        ids += [each["id"] for each in page["results"]]
        if "paging" not in page:
            break
        after = {"after": page["paging"]["next"]["after"]}

    assert sorted(ids) == sandbox.contact_ids()
    assert ids != sandbox.contact_ids()


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_page_has_between_one_and_a_hundred_contacts(api: httpx.Client, limit: str) -> None:
    assert api.get("", params={"limit": limit}).status_code == 400


def test_with_history_a_page_has_fifty_contacts_at_most(sandbox: Sandbox, api: httpx.Client) -> None:
    asked = {"limit": 100, "propertiesWithHistory": "city"}

    assert api.get("", params=asked).status_code == 400
    sandbox.switch(history_limit=100)
    assert api.get("", params=asked).status_code == 200


def test_history_tells_values_newest_first_and_who_wrote_them(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(city="Lyon")
    clock.advance(1)
    sandbox.update(record_id, {"city": "Paris"})

    entries = api.get(f"/{record_id}", params={"propertiesWithHistory": "city"}).json()["propertiesWithHistory"]["city"]

    assert [(each["value"], each["sourceType"]) for each in entries] == [("Paris", "CRM_UI"), ("Lyon", "INTEGRATION")]
    assert entries[0]["sourceId"] == "userId:28604240"
    assert entries[0]["timestamp"] == "2026-03-09T09:00:01Z"


def test_history_is_cut_to_the_newest_entries(sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    record_id = new_contact(points="0")
    for points in range(1, 30):
        sandbox.update(record_id, {"points": str(points)})

    def entries() -> Any:
        got = api.get(f"/{record_id}", params={"propertiesWithHistory": "points"}).json()
        return [each["value"] for each in got["propertiesWithHistory"]["points"]]

    assert entries() == [str(each) for each in range(29, 9, -1)]
    sandbox.switch(history_entries="all")
    assert len(entries()) == 30


def test_ids_do_not_follow_creation(sandbox: Sandbox, new_contact: NewContact) -> None:
    ids = [int(new_contact(email=f"a{each}@example.com")) for each in range(20)]

    assert ids != sorted(ids)
    assert len(set(ids)) == 20


def test_an_address_too_long_gets_a_page_of_the_proxy_and_no_json(api: httpx.Client) -> None:
    answer = api.get("", params={"properties": ",".join(f"property_{each}" for each in range(700))})

    assert answer.status_code == 414
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "path",
    [
        "/crm/objects/2026-09/0-1",
        "/crm/objects/2026-03/contact",
        "/crm/v3/objects/contacts",
        "/crm/v3/objects/0-1",
    ],
)
def test_every_version_spells_its_path_in_its_own_way(api: httpx.Client, path: str) -> None:
    assert api.get(f"http://sandbox{path}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/crm/2026-09/objects/contacts", "/crm/v4/objects/contacts", "/crm/objects/v3/contacts"]
)
def test_a_path_put_together_wrongly_is_not_found(api: httpx.Client, path: str) -> None:
    assert api.get(f"http://sandbox{path}").status_code == 404


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
def test_a_body_that_is_no_contact_is_refused(api: httpx.Client, content: bytes, kind: str, status: int) -> None:
    assert api.post("", content=content, headers={"content-type": kind}).status_code == status


def test_null_is_no_way_to_clear_a_value(api: httpx.Client, new_contact: NewContact) -> None:
    assert api.patch(f"/{new_contact()}", json={"properties": {"city": None}}).status_code == 400
