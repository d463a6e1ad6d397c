"""HubSpot's own client, over HTTP, on the paths it calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hubspot import HubSpot
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.contacts.exceptions import ApiException, ForbiddenException, NotFoundException
from hubspot.crm.properties import PropertyCreate
from tests.support.sandbox import running_sandbox

from mercuri.sandbox import Running


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with running_sandbox(contacts=320) as served:
        yield served


@pytest.fixture
def client(running: Running) -> HubSpot:
    made = HubSpot(access_token=running.sandbox.static_token)
    made.config["host"] = running.url
    return made


def _new(client: HubSpot, **properties: str) -> Any:
    body = SimplePublicObjectInputForCreate(properties=properties, associations=[])
    return client.crm.contacts.basic_api.create(simple_public_object_input_for_create=body)


def test_it_reads_the_whole_list(running: Running, client: HubSpot) -> None:
    read = client.crm.contacts.get_all(properties=["email", "city"])

    assert [each.id for each in read] == running.sandbox.contact_ids()


def test_it_creates_reads_changes_and_archives(client: HubSpot) -> None:
    api = client.crm.contacts.basic_api

    made = _new(client, email="ana@official.example.com", firstname="Ana")
    changed = api.update(made.id, simple_public_object_input=SimplePublicObjectInput(properties={"city": "Lyon"}))
    read = api.get_by_id(made.id, properties=["email", "city"])
    api.archive(made.id)

    assert changed.properties["city"] == "Lyon"
    assert read.properties["email"] == "ana@official.example.com"
    assert read.created_at <= read.updated_at
    with pytest.raises(NotFoundException):
        api.get_by_id(made.id)


def test_it_meets_a_conflict(client: HubSpot) -> None:
    _new(client, email="bo@official.example.com")

    with pytest.raises(ApiException, match="Contact already exists") as caught:
        _new(client, email="bo@official.example.com")

    assert caught.value.status == 409


def test_it_searches(client: HubSpot) -> None:
    _new(client, email="cleo@official.example.com", city="Turku")
    request = PublicObjectSearchRequest(
        filter_groups=[{"filters": [{"propertyName": "city", "operator": "EQ", "value": "turku"}]}],
        properties=["city"],
        limit=10,
        after=0,
        sorts=[],
    )

    found = client.crm.contacts.search_api.do_search(public_object_search_request=request)

    assert found.total == 1
    assert found.results[0].properties["city"] == "Turku"


def test_it_works_in_batches(client: HubSpot) -> None:
    api = client.crm.contacts.batch_api
    inputs = [{"properties": {"email": f"d{each}@official.example.com"}, "associations": []} for each in range(3)]

    made = api.create(
        batch_input_simple_public_object_batch_input_for_create=BatchInputSimplePublicObjectBatchInputForCreate(
            inputs=inputs
        )
    )
    changes = [{"id": each.id, "properties": {"city": "Oulu"}} for each in made.results]
    api.update(batch_input_simple_public_object_batch_input=BatchInputSimplePublicObjectBatchInput(inputs=changes))
    wanted = BatchReadInputSimplePublicObjectId(
        inputs=[{"id": each.id} for each in made.results], properties=["city"], properties_with_history=[]
    )
    read = api.read(batch_read_input_simple_public_object_id=wanted)

    assert {each.properties["city"] for each in read.results} == {"Oulu"}
    assert len(read.results) == 3


def test_it_merges(client: HubSpot) -> None:
    ana, twin = _new(client, firstname="Ana"), _new(client, firstname="Anna")

    merged = client.crm.contacts.basic_api.merge(
        public_merge_input={"primaryObjectId": ana.id, "objectIdToMerge": twin.id}
    )

    assert client.crm.contacts.basic_api.get_by_id(twin.id).id == merged.id


def test_it_reads_and_makes_properties(client: HubSpot) -> None:
    api = client.crm.properties.core_api
    body = PropertyCreate(
        name="shoe_size", label="Shoe size", type="number", field_type="number", group_name="contactinformation"
    )

    api.create(object_type="contacts", property_create=body)

    named = {each.name: each for each in api.get_all(object_type="contacts").results}
    assert named["shoe_size"].type == "number"
    assert named["email"].modification_metadata.read_only_value is False


def test_it_gets_and_refreshes_tokens(running: Running, client: HubSpot) -> None:
    redirect = "http://localhost/callback"
    code = running.sandbox.oauth.agree(redirect, frozenset({"oauth"}))
    app = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}

    first = client.oauth.tokens_api.create(grant_type="authorization_code", code=code, redirect_uri=redirect, **app)
    again = client.oauth.tokens_api.create(grant_type="refresh_token", refresh_token=first.refresh_token, **app)

    assert again.refresh_token == first.refresh_token
    stranger = HubSpot(access_token=again.access_token)
    stranger.config["host"] = running.url
    with pytest.raises(ForbiddenException):
        stranger.crm.contacts.basic_api.get_page()
