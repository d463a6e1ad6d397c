"""What the client makes of answers to writes: one outcome per record, and nothing written twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.support.hubspot import a_record, ok, scripted

from mercuri.errors import BadRequest, MissingScope, NotThere, RateLimited, Unavailable
from mercuri.hubspot.client import Write

TEN_SECONDLY = {"status": "error", "message": "You have reached your ten_secondly_rolling limit."}
DAILY = {"status": "error", "message": "You have reached your daily limit.", "policyName": "DAILY"}


def writes(*keys: str) -> list[Write]:
    return [Write(key, {"city": "Paris"}) for key in keys]


def accepts(request: httpx.Request) -> httpx.Response:
    """Write everything, and answer in another order, without trace ids."""
    inputs = json.loads(request.content)["inputs"]
    return ok({"status": "COMPLETE", "results": [a_record(item["id"], city="Paris") for item in reversed(inputs)]})


def refuses(*culprits: str) -> Callable[[httpx.Request], httpx.Response]:
    """Refuse the whole batch as long as a culprit is in it."""

    def answer(request: httpx.Request) -> httpx.Response:
        named = [item["id"] for item in json.loads(request.content)["inputs"]]
        message = 'Property values were not valid: [{"isValid":false,"error":"INVALID_OPTION","name":"city"}]'
        refusal: dict[str, Any] = {"status": "error", "category": "VALIDATION_ERROR", "message": message}
        return ok(refusal, 400) if set(named) & set(culprits) else accepts(request)

    return answer


def test_outcomes_come_in_the_order_of_the_writes():
    hubspot = scripted(accepts)

    outcomes = hubspot.client.update_many(writes("3", "1", "2"))

    assert [(outcome.key, outcome.record and outcome.record.id) for outcome in outcomes] == [
        ("3", "3"),
        ("1", "1"),
        ("2", "2"),
    ]


def test_every_input_has_a_trace_of_its_own_and_an_update_names_no_id_property():
    hubspot = scripted(accepts)

    hubspot.client.update_many(writes("3", "1"))

    inputs = hubspot.script.bodies()[0]["inputs"]
    assert len({item["objectWriteTraceId"] for item in inputs}) == 2
    assert all(set(item) == {"id", "properties", "objectWriteTraceId"} for item in inputs)


def test_a_partial_success_is_told_apart_record_by_record():
    conflict = {
        "status": "error",
        "category": "CONFLICT",
        "message": "Contact already exists. Existing ID: 171",
        "context": {"objectWriteTraceId": ["1"], "existingId": ["171"]},
    }
    absent = {"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": ["3"]}}
    hubspot = scripted(ok({"results": [a_record("1", city="Paris")], "errors": [conflict, absent]}, 207))

    first, second, third = hubspot.client.update_many(writes("1", "2", "3"))

    assert first.record is not None
    assert isinstance(second.error, BadRequest)
    assert (second.error.status, second.error.existing_id) == (409, "171")
    assert isinstance(third.error, NotThere)


def test_an_id_that_the_answer_leaves_out_is_not_taken_for_written():
    hubspot = scripted(ok({"results": [a_record("1")]}))

    kept, gone = hubspot.client.update_many(writes("1", "2"))

    assert kept.error is None
    assert isinstance(gone.error, NotThere)


def test_one_bad_record_does_not_fail_its_batch():
    hubspot = scripted(*[refuses("5")] * 40)

    outcomes = hubspot.client.update_many(writes(*map(str, range(16))))

    assert [outcome.key for outcome in outcomes if outcome.error] == ["5"]
    assert [outcome.key for outcome in outcomes] == [str(number) for number in range(16)]
    assert len(hubspot.script.requests) <= 9


def test_a_property_that_hubspot_does_not_have_is_found_out_once_and_not_record_by_record():
    message = 'Property values were not valid: [{"isValid":false,"error":"PROPERTY_DOESNT_EXIST","name":"town"}]'
    hubspot = scripted(ok({"message": message}, 400), accepts)
    mixed = [Write(str(number), {"town" if number % 2 else "city": "Paris"}) for number in range(100)]

    outcomes = hubspot.client.update_many(mixed)

    assert [outcome.error is None for outcome in outcomes] == [True, False] * 50
    assert [outcome.key for outcome in outcomes] == [write.key for write in mixed]
    assert len(hubspot.script.requests) == 2


def test_equal_keys_are_sent_in_separate_batches():
    hubspot = scripted(accepts, accepts)

    outcomes = hubspot.client.update_many([Write("1", {"city": "Lyon"}), Write("1", {"city": "Paris"})])

    assert [len(body["inputs"]) for body in hubspot.script.bodies()] == [1, 1]
    assert all(outcome.record for outcome in outcomes)


def test_a_hundred_is_the_most_of_one_batch():
    hubspot = scripted(accepts, accepts, accepts)

    outcomes = hubspot.client.update_many(writes(*map(str, range(250))))

    assert [len(body["inputs"]) for body in hubspot.script.bodies()] == [100, 100, 50]
    assert len(outcomes) == 250


@pytest.mark.parametrize(
    "lost",
    [
        httpx.ReadError("cut"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(502),
        httpx.Response(504, content=b"<html>"),
        httpx.Response(200, content=b'{"results":[{"id":"1"'),
    ],
)
def test_a_write_whose_fate_is_unknown_is_not_sent_again(lost):
    hubspot = scripted(lost)

    (outcome,) = hubspot.client.update_many(writes("1"))

    assert isinstance(outcome.error, Unavailable)
    assert outcome.error.may_have_happened
    assert len(hubspot.script.requests) == 1


def test_a_batch_that_is_lost_does_not_take_the_others_with_it():
    hubspot = scripted(accepts, httpx.Response(502), accepts)

    outcomes = hubspot.client.update_many(writes(*map(str, range(300))))

    assert [outcome.error is None for outcome in outcomes] == [True] * 100 + [False] * 100 + [True] * 100


@pytest.mark.parametrize(
    ("refusal", "waited"),
    [
        (ok(TEN_SECONDLY, 429), 10),
        (ok(TEN_SECONDLY, 429, {"Retry-After": "3"}), 3),
        (ok({"status": "error"}, 423), 2),
        (httpx.ConnectError("refused"), 1),
    ],
)
def test_a_write_that_was_turned_away_is_sent_again_after_the_wait(refusal, waited):
    hubspot = scripted(refusal, accepts)

    (outcome,) = hubspot.client.update_many(writes("1"))

    assert outcome.record is not None
    assert hubspot.clock.monotonic() == pytest.approx(waited)


def test_a_used_up_day_stops_the_call_at_once_but_keeps_what_was_written():
    hubspot = scripted(accepts, ok(DAILY, 429))

    outcomes = hubspot.client.update_many(writes(*map(str, range(300))))

    assert [type(outcome.error) for outcome in outcomes] == [type(None)] * 100 + [RateLimited] * 200
    assert len(hubspot.script.requests) == 2


def test_what_stops_every_record_is_raised_while_nothing_was_sent():
    hubspot = scripted(ok({"category": "MISSING_SCOPES"}, 403))

    with pytest.raises(MissingScope):
        hubspot.client.update_many(writes("1", "2"))


def test_an_upsert_tells_what_it_made_and_finds_its_answers_by_the_unique_value():
    results = [
        a_record("52", mercuri_contact_id="b") | {"new": False},
        a_record("51", mercuri_contact_id="a") | {"new": True},
    ]
    hubspot = scripted(ok({"results": results}, 200))

    outcomes = hubspot.client.upsert_many(writes("a", "b"), "mercuri_contact_id")

    assert [(outcome.record and outcome.record.id, outcome.created) for outcome in outcomes] == [
        ("51", True),
        ("52", False),
    ]
    assert hubspot.script.bodies()[0]["inputs"][0] == {
        "id": "a",
        "idProperty": "mercuri_contact_id",
        "properties": {"mercuri_contact_id": "a", "city": "Paris"},
        "objectWriteTraceId": "0",
    }


def test_an_upsert_by_email_is_found_though_hubspot_lower_cases_it():
    hubspot = scripted(ok({"results": [a_record("51", email="ana@example.com") | {"new": True}]}))

    (outcome,) = hubspot.client.upsert_many([Write("Ana@Example.com", {"city": "Paris"})], "email")

    assert outcome.record is not None


def test_an_upsert_without_an_answer_may_have_happened():
    hubspot = scripted(ok({"results": []}))

    (outcome,) = hubspot.client.upsert_many(writes("a"), "mercuri_contact_id")

    assert isinstance(outcome.error, Unavailable)
    assert outcome.error.may_have_happened


def test_a_taken_email_names_the_record_that_has_it():
    hubspot = scripted(ok({"category": "CONFLICT", "message": "Contact already exists. Existing ID: 12345"}, 409))

    with pytest.raises(BadRequest) as caught:
        hubspot.client.create({"email": "ana@example.com"})

    assert (caught.value.status, caught.value.existing_id) == (409, "12345")


def test_a_merge_answers_with_the_id_that_remains():
    hubspot = scripted(ok(a_record("90")))

    assert hubspot.client.merge("51", "52").id == "90"
    assert hubspot.script.bodies() == [{"primaryObjectId": "51", "objectIdToMerge": "52"}]


def test_a_value_cleared_in_the_answer_reads_like_an_empty_one():
    hubspot = scripted(ok({"results": [a_record("1", city="", phone=None)]}))

    (outcome,) = hubspot.client.update_many([Write("1", {"city": ""})])

    assert outcome.record is not None
    assert outcome.record.properties == {"city": "", "phone": ""}


def test_archiving_sends_each_id_once():
    hubspot = scripted(httpx.Response(204))

    hubspot.client.archive_many(["1", "2", "1"])

    assert hubspot.script.bodies() == [{"inputs": [{"id": "1"}, {"id": "2"}]}]


def test_an_opt_out_is_repeated_until_hubspot_hears_it():
    hubspot = scripted(httpx.ReadError("cut"), httpx.Response(502), httpx.Response(204))

    hubspot.client.unsubscribe_email("ana+news@example.com")

    assert len(hubspot.script.requests) == 3
    assert b"/statuses/ana%2Bnews%40example.com/unsubscribe-all" in hubspot.script.requests[2].url.raw_path


def test_calls_are_counted_by_kind():
    hubspot = scripted(ok(TEN_SECONDLY, 429), accepts, ok({"results": []}))

    hubspot.client.update_many(writes("1"))
    hubspot.client.search([], ["email"])

    assert hubspot.client.calls.as_dict() == {"list": 0, "search": 1, "read": 0, "write": 2, "other": 0, "throttled": 1}


def test_a_unique_property_is_made_when_it_is_missing():
    hubspot = scripted(ok({"message": "none"}, 404), ok({"name": "mercuri_contact_id", "hasUniqueValue": True}, 201))

    assert hubspot.client.ensure_unique_property("mercuri_contact_id", "Mercuri id")
    assert hubspot.script.bodies()[1]["hasUniqueValue"] is True


@pytest.mark.parametrize("refusal", [ok({"category": "MISSING_SCOPES"}, 403), ok({"message": "ten"}, 400), ok({}, 404)])
def test_a_unique_property_that_cannot_be_had_is_no_error(refusal):
    hubspot = scripted(ok({"message": "none"}, 404), refusal)

    assert not hubspot.client.ensure_unique_property("mercuri_contact_id", "Mercuri id")
