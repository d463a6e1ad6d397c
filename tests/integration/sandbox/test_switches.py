"""What is unknown about HubSpot can be turned: each value is a portal that may exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest

from mercuri.sandbox import Sandbox, Switches
from mercuri.sandbox.switches import choices

NewContact = Callable[..., str]
DOCS = Path(__file__).parents[3] / "docs" / "sandbox.md"


def _property(api: httpx.Client, record_id: str, name: str) -> Any:
    return api.get(f"/{record_id}", params={"properties": name}).json()["properties"][name]


def _merged(api: httpx.Client, primary: str, other: str) -> str:
    answer = api.post("/merge", json={"primaryObjectId": primary, "objectIdToMerge": other})
    return str(answer.json()["id"])


@pytest.mark.parametrize("name", [each.name for each in fields(Switches)])
def test_every_switch_is_documented_and_starts_at_its_first_value(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text()
    assert not choices(name) or getattr(Switches(), name) == choices(name)[0]


def test_a_switch_takes_its_own_values_only() -> None:
    with pytest.raises(ValueError, match="merge_id"):
        Switches().changed(merge_id="other")
    with pytest.raises(ValueError, match="bumps_after_create"):
        Switches().changed(bumps_after_create=-1)
    with pytest.raises(ValueError, match="no switch"):
        Switches().changed(unknown=True)


@pytest.mark.parametrize(("value", "stage"), [("lead", "lead"), ("empty", None)])
def test_the_stage_of_a_new_contact(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact, value: str, stage: str | None
) -> None:
    sandbox.switch(lifecycle_on_create=value)

    assert _property(api, new_contact(), "lifecyclestage") == stage


@pytest.mark.parametrize(("value", "number"), [("absent", None), ("best_effort", "0612345678901234")])
def test_a_phone_nobody_can_parse(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact, value: str, number: str | None
) -> None:
    sandbox.switch(calculated_phones=value)

    record_id = new_contact(phone="06-1234-5678-901234")

    assert _property(api, record_id, "hs_searchable_calculated_phone_number") == number


@pytest.mark.parametrize(("value", "city"), [("trims", "Lyon"), ("keeps", " Lyon ")])
def test_spaces_around_a_value(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact, value: str, city: str
) -> None:
    sandbox.switch(rewriting=value)

    assert _property(api, new_contact(city=" Lyon "), "city") == city


def test_the_code_of_a_read_only_property(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.switch(read_only_code="READ_ONLY_VALUE")

    answer = api.post("", json={"properties": {"firstname": "Ana", "createdate": "1"}})

    assert answer.json()["errors"][0]["code"] == "READ_ONLY_VALUE"


def test_an_archived_contact_may_let_go_of_its_unique_value(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    sandbox.switch(archived_holds_unique=False)
    api.delete(f"/{new_contact(customer_number='C-1')}")

    assert new_contact(customer_number="C-1")


def test_a_merge_may_keep_the_primary_unique_value_and_leave_no_trace(
    sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    sandbox.switch(merge_unique="primary", merge_traces="null", merge_cleared_wins=False)
    ana, twin = new_contact(customer_number="C-1", city="Lyon"), new_contact(customer_number="C-2", city="Paris")
    api.patch(f"/{ana}", json={"properties": {"city": ""}})

    survivor = _merged(api, ana, twin)

    assert _property(api, survivor, "customer_number") == "C-1"
    assert _property(api, survivor, "hs_merged_object_ids") is None
    assert _property(api, survivor, "city") == "Paris"


def test_a_static_token_may_sign_its_writes(sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    sandbox.switch(static_author="app_id")

    got = api.get(f"/{new_contact()}", params={"propertiesWithHistory": "firstname"}).json()

    assert got["propertiesWithHistory"]["firstname"][0]["sourceId"] == str(sandbox.app_id)
