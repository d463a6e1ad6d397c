"""The properties API: definitions that a client reads before it writes, and their life."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.support.sandbox import SandboxTransport

from mercuri.sandbox import Sandbox

COLOUR = {
    "name": "colour",
    "label": "Colour",
    "type": "enumeration",
    "fieldType": "select",
    "groupName": "contactinformation",
    "options": [{"label": "Red", "value": "red"}, {"label": "Blue", "value": "blue"}],
}


@pytest.fixture
def schema(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=SandboxTransport(sandbox),
        base_url="http://sandbox/crm/properties/2026-09/contacts",
        headers={"authorization": f"Bearer {sandbox.static_token}"},
    ) as client:
        yield client


def test_the_list_tells_type_options_and_what_is_read_only(schema: httpx.Client) -> None:
    listed = {each["name"]: each for each in schema.get("").json()["results"]}

    assert listed["sms_opt_in"]["type"] == "bool"
    assert [each["value"] for each in listed["sms_consent"]["options"]] == ["Yes", "No", "not_asked"]
    assert listed["hs_email_optout"]["modificationMetadata"]["readOnlyValue"] is True
    assert listed["customer_number"]["hasUniqueValue"] is True
    assert listed["hubspot_owner_id"]["externalOptions"] is True
    assert listed["hubspot_owner_id"]["options"] == []
    assert listed["phone"]["fieldType"] == "phonenumber"


def test_a_switch_makes_opt_out_properties_writable(sandbox: Sandbox, schema: httpx.Client) -> None:
    sandbox.switch(optout_properties="writable")

    assert schema.get("/hs_email_optout_301").json()["modificationMetadata"]["readOnlyValue"] is False


def test_a_new_property_takes_its_options_and_nothing_else(schema: httpx.Client, api: httpx.Client) -> None:
    assert schema.post("", json=COLOUR).status_code == 201

    assert api.post("", json={"properties": {"firstname": "Ana", "colour": "red"}}).status_code == 201
    assert api.post("", json={"properties": {"firstname": "Ana", "colour": "green"}}).status_code == 400


def test_a_name_in_use_is_a_conflict(schema: httpx.Client) -> None:
    schema.post("", json=COLOUR)

    answer = schema.post("", json=COLOUR)

    assert answer.status_code == 409
    assert answer.json()["subCategory"] == "Properties.PROPERTY_WITH_NAME_EXISTS"


def test_changed_options_replace_the_whole_list(schema: httpx.Client) -> None:
    schema.post("", json=COLOUR)

    answer = schema.patch("/colour", json={"options": [{"label": "Green", "value": "green"}]})

    assert [each["value"] for each in answer.json()["options"]] == ["green"]


def test_an_archived_property_is_unknown_until_it_is_made_again(schema: httpx.Client, api: httpx.Client) -> None:
    schema.post("", json=COLOUR)
    record_id = api.post("", json={"properties": {"firstname": "Ana", "colour": "red"}}).json()["id"]

    assert schema.delete("/colour").status_code == 204

    assert schema.get("/colour").status_code == 404
    assert [each["name"] for each in schema.get("", params={"archived": "true"}).json()["results"]] == ["colour"]
    assert "colour" not in api.get(f"/{record_id}", params={"properties": "colour"}).json()["properties"]
    assert api.patch(f"/{record_id}", json={"properties": {"colour": "red"}}).status_code == 400
    assert schema.post("", json=COLOUR).status_code == 201


def test_hubspots_own_properties_stay(schema: httpx.Client) -> None:
    answer = schema.delete("/email")

    assert answer.status_code == 400
    assert answer.json()["subCategory"] == "PropertyValidationError.CANNOT_DELETE_PROPERTY_IN_USE"


@pytest.mark.parametrize(
    "change",
    [{"type": "money"}, {"fieldType": "date"}, {"groupName": "nope"}, {"name": "Colour 1"}, {"options": []}],
)
def test_a_bad_definition_is_refused(schema: httpx.Client, change: dict[str, object]) -> None:
    assert schema.post("", json={**COLOUR, **change}).status_code == 400


def test_ten_unique_properties_are_the_most(schema: httpx.Client) -> None:
    plain = {"label": "N", "type": "string", "fieldType": "text", "groupName": "sms", "hasUniqueValue": True}
    made = [schema.post("", json={**plain, "name": f"n{each}"}).status_code for each in range(10)]

    assert made == [201] * 9 + [400]


def test_a_group_with_properties_stays_and_an_empty_one_goes(schema: httpx.Client) -> None:
    assert schema.post("/groups", json={"name": "more", "label": "More"}).status_code == 201

    assert schema.delete("/groups/sms").status_code == 400
    assert schema.delete("/groups/more").status_code == 204
    assert "more" not in [each["name"] for each in schema.get("/groups").json()["results"]]


def test_the_old_path_gives_a_bare_list(sandbox: Sandbox, api: httpx.Client) -> None:
    listed = api.get("http://sandbox/properties/v2/contact/properties").json()

    assert "email" in [each["name"] for each in listed]
