"""What the client makes of answers to reads."""

from __future__ import annotations

import json

import httpx
import pytest
from tests.support.hubspot import a_page, a_record, ok, scripted

from mercuri.errors import BadRequest, MissingScope, NotThere, Unavailable
from mercuri.hubspot.client import Filter

TRUNCATED = httpx.Response(200, content=b'{"results":[{"id":"51","prop')
GATEWAY = httpx.Response(502, content=b"<html>Bad Gateway</html>")


def test_a_page_carries_exactly_the_properties_asked_for():
    hubspot = scripted(a_page(a_record("51", email="ana@example.com", city=None, hs_object_id="51"), after="52"))

    page = hubspot.client.list_contacts(["email", "city", "phone"])

    assert page.records[0].properties == {"email": "ana@example.com", "city": "", "phone": ""}
    assert (page.records[0].id, page.after, page.total) == ("51", "52", None)
    assert page.records[0].updated_at is not None


def test_the_portal_is_known_from_a_record_where_the_account_is_not():
    record = {**a_record("51"), "url": "https://app.hubspot.com/contacts/4242/record/0-1/51"}

    assert scripted(ok({}, 404), ok({"results": [record]})).client.account().portal_id == "4242"


def test_the_cursor_goes_back_as_it_came():
    hubspot = scripted(a_page())

    page = hubspot.client.list_contacts(["email"], "NTI%3D", archived=True)

    sent = hubspot.script.requests[0].url.params
    assert (sent["after"], sent["archived"], sent["limit"]) == ("NTI%3D", "true", "100")
    assert page.after is None


def test_an_answer_without_results_is_no_empty_page():
    hubspot = scripted(*[ok({"status": "ok"}) for _ in range(5)])

    with pytest.raises(Unavailable):
        hubspot.client.list_contacts(["email"])


@pytest.mark.parametrize("answer", [TRUNCATED, GATEWAY, httpx.ReadError("cut"), httpx.RemoteProtocolError("cut")])
def test_a_read_that_was_cut_is_asked_again(answer):
    hubspot = scripted(answer, a_page(a_record("51", email="a@b.test")))

    page = hubspot.client.list_contacts(["email"])

    assert len(page.records) == 1
    assert hubspot.clock.monotonic() >= 1


def test_a_read_gives_up_after_its_ladder():
    hubspot = scripted(*[httpx.Response(503) for _ in range(5)])

    with pytest.raises(Unavailable) as caught:
        hubspot.client.list_contacts(["email"])

    assert (caught.value.status, caught.value.may_have_happened) == (503, False)


def test_a_hopeless_status_is_not_asked_again():
    hubspot = scripted(httpx.Response(530))

    with pytest.raises(Unavailable):
        hubspot.client.list_contacts(["email"])


def test_properties_too_long_for_an_address_are_read_by_batch_and_none_is_cut():
    names = [f"a_rather_long_property_name_{number:04}" for number in range(400)]
    batch = ok({"results": [a_record("52", **{names[399]: "last"}), a_record("51")]})
    hubspot = scripted(a_page(a_record("51"), a_record("52"), after="53"), batch)

    page = hubspot.client.list_contacts(names)

    assert all(len(str(request.url)) < 8000 for request in hubspot.script.requests)
    assert hubspot.script.bodies()[1]["properties"] == names
    assert page.after == "53"
    assert [(record.id, record.properties[names[399]]) for record in page.records] == [("51", ""), ("52", "last")]


def test_an_address_that_hubspot_finds_too_long_is_read_by_batch_as_well():
    too_long = httpx.Response(414, content=b"<html>414 Request-URI Too Large</html>")
    hubspot = scripted(too_long, a_page(a_record("51")), ok({"results": [a_record("51", email="a@b.test")]}))

    page = hubspot.client.list_contacts(["email"])

    assert [record.properties for record in page.records] == [{"email": "a@b.test"}]


def test_a_search_spells_its_filters_and_tells_the_total():
    hubspot = scripted(a_page(a_record("51", email="a@b.test"), after="200", total=812))
    window = Filter("lastmodifieddate", "BETWEEN", "1", "2")

    page = hubspot.client.search(
        [[window, Filter("city", "IN", values=("lyon",))]], ["email"], sort=("hs_object_id", False)
    )

    assert (page.total, page.after) == (812, "200")
    assert hubspot.script.bodies()[0] == {
        "filterGroups": [
            {
                "filters": [
                    {"propertyName": "lastmodifieddate", "operator": "BETWEEN", "value": "1", "highValue": "2"},
                    {"propertyName": "city", "operator": "IN", "values": ["lyon"]},
                ]
            }
        ],
        "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
        "properties": ["email"],
        "limit": 200,
    }


def test_an_id_that_was_merged_away_answers_with_the_survivor():
    hubspot = scripted(ok(a_record("90", email="a@b.test")))

    record = hubspot.client.read("51", ["email"])

    assert record.id == "90"


def test_an_unknown_id_is_not_there():
    hubspot = scripted(ok({"status": "error", "message": "resource not found"}, 404))

    with pytest.raises(NotThere):
        hubspot.client.read("51", ["email"])


@pytest.mark.parametrize("content", [b"", b'"none"', b"{}"])
def test_a_404_that_says_nothing_means_absence(content: bytes):
    hubspot = scripted(httpx.Response(404, content=content))

    with pytest.raises(NotThere):
        hubspot.client.read("51", ["email"])


def test_a_404_that_is_not_hubspots_proves_no_absence():
    hubspot = scripted(*[httpx.Response(404, content=b"<html>nginx</html>") for _ in range(5)])

    with pytest.raises(Unavailable):
        hubspot.client.read("51", ["email"])


def test_the_history_of_a_property_comes_with_its_sources():
    versions = [{"value": "x", "timestamp": "2026-03-09T08:30:00Z", "sourceType": "INTEGRATION", "sourceId": "77"}]
    hubspot = scripted(ok(a_record("51", city="x") | {"propertiesWithHistory": {"city": versions}}))

    record = hubspot.client.read("51", ["city"], history=["city"])

    assert (record.history["city"][0].source, record.history["city"][0].source_id) == ("INTEGRATION", "77")


def test_merged_ids_are_read_from_both_traces():
    properties = {"hs_merged_object_ids": "11;12", "hs_calculated_merged_vids": "12:1773057600000;13:1773057600000"}
    hubspot = scripted(ok(a_record("90", **properties)))

    record = hubspot.client.read("90", list(properties))

    assert record.merged_ids == ("11", "12", "13")


def test_ids_without_an_answer_are_asked_singly_and_the_absent_stay_missing():
    batch = ok({"results": [a_record("2"), a_record("90")], "errors": []}, 207)
    absent = ok({"category": "OBJECT_NOT_FOUND"}, 404)
    hubspot = scripted(batch, ok(a_record("90")), absent)

    found = hubspot.client.read_many(["1", "2", "3"], ["email"])

    assert {key: record.id for key, record in found.items()} == {"1": "90", "2": "2"}


def test_reads_with_history_take_fifty_at_a_time():
    def echo(request: httpx.Request) -> httpx.Response:
        return ok({"results": [a_record(item["id"]) for item in reversed(json.loads(request.content)["inputs"])]})

    hubspot = scripted(echo, echo, echo)

    found = hubspot.client.read_many([str(number) for number in range(120)], ["email"], history=["email"])

    assert len(found) == 120
    assert [len(body["inputs"]) for body in hubspot.script.bodies()] == [50, 50, 20]


def test_records_read_by_a_unique_value_are_keyed_by_what_was_asked():
    hubspot = scripted(ok({"results": [a_record("51", email="ana@example.com", city="Lyon")]}, 207))

    found = hubspot.client.read_many(["Ana@Example.com", "bo@example.com"], ["city"], id_property="email")

    assert {key: (record.id, record.properties) for key, record in found.items()} == {
        "Ana@Example.com": ("51", {"city": "Lyon"})
    }
    assert len(hubspot.script.requests) == 1


def test_a_missing_scope_is_named():
    said = "You do not have permissions to view_schema object type 0-1 (requires one of [crm.schemas.contacts.read])"
    body = {"status": "error", "message": said}
    hubspot = scripted(ok(body, 403))

    with pytest.raises(MissingScope) as caught:
        hubspot.client.properties()

    assert caught.value.scopes == ("crm.schemas.contacts.read",)


def test_a_refused_search_is_our_mistake_even_with_an_empty_body():
    hubspot = scripted(httpx.Response(400))

    with pytest.raises(BadRequest):
        hubspot.client.search([], ["email"], after="10000")


def test_an_empty_id_is_nobody_and_never_asks_for_the_list():
    hubspot = scripted()

    with pytest.raises(NotThere):
        hubspot.client.read("", ["email"])
    assert hubspot.client.read_many([""], ["email"]) == {}


def test_two_spellings_of_one_email_get_the_same_record():
    hubspot = scripted(ok({"results": [a_record("51", email="ana@example.com")]}))

    found = hubspot.client.read_many(["Ana@example.com", "ana@example.com"], ["email"], id_property="email")

    assert {key: record.id for key, record in found.items()} == {"Ana@example.com": "51", "ana@example.com": "51"}


def test_a_character_that_no_database_takes_spoils_neither_the_page_nor_the_value():
    raw = rb'{"results":[{"id":"51","properties":{"city":"Ly\u0000on \ud83d\ude00 \ud800"}}]}'
    hubspot = scripted(httpx.Response(200, content=raw))

    (record,) = hubspot.client.list_contacts(["city"]).records

    assert record.properties["city"] == "Ly\ufffdon \U0001f600 \ufffd"


def test_a_permission_that_hubspot_does_not_name_is_known_from_the_call():
    hubspot = scripted(*[ok({"status": "error"}, 403) for _ in range(2)])

    for call, scope in (
        (lambda: hubspot.client.search([], ["email"]), "crm.objects.contacts.read"),
        (lambda: hubspot.client.properties(), "crm.schemas.contacts.read"),
    ):
        with pytest.raises(MissingScope, match=scope) as caught:
            call()
        assert caught.value.scopes == (scope,)
