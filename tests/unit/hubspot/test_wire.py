"""From HubSpot's JSON to our nouns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.support.hubspot import a_record

from mercuri.core.properties import Option
from mercuri.hubspot import wire

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "spelling",
    ["2026-03-09T12:00:00Z", "2026-03-09T12:00:00.000Z", "2026-03-09T13:00:00+01:00", "1773057600000", 1773057600000],
)
def test_a_moment_is_understood_in_every_spelling(spelling):
    assert wire.moment(spelling) == NOON


@pytest.mark.parametrize("spelling", [None, "", "soon", "0000-00-00", "99999999999999999999", []])
def test_what_is_no_moment_is_none(spelling):
    assert wire.moment(spelling) is None


def test_a_date_alone_is_midnight_utc():
    assert wire.moment("2026-03-09") == datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize("body", [None, [], {}, {"results": None}, {"results": {}}, {"results": [{"id": "1"}]}, "x"])
def test_an_answer_that_is_no_page_is_malformed(body):
    with pytest.raises(wire.Malformed):
        wire.page(body, ["email"])


def test_a_record_without_times_is_still_a_record():
    record = wire.record({"id": 51, "properties": {"age": 7, "vip": False, "city": None}})

    assert (record.id, record.created_at, record.archived) == ("51", None, False)
    assert record.properties == {"age": "7", "vip": "false", "city": ""}


def test_an_archived_record_tells_since_when():
    record = wire.record(a_record("51") | {"archived": True, "archivedAt": "2026-03-09T12:00:00Z"})

    assert (record.archived, record.archived_at) == (True, NOON)


def test_a_property_that_hubspot_computes_is_read_only():
    body = {
        "results": [
            {"name": "a", "label": "A", "type": "string", "modificationMetadata": {"readOnlyValue": True}},
            {"name": "b", "type": "number", "calculated": True},
            {
                "name": "c",
                "type": "enumeration",
                "fieldType": "select",
                "groupName": "contactinformation",
                "hubspotDefined": True,
                "externalOptions": True,
                "options": [{"value": "x", "label": "X", "hidden": True}, {"value": "y"}],
            },
        ]
    }

    a, b, c = wire.properties(body)

    assert [found.read_only for found in (a, b, c)] == [True, True, False]
    assert (b.label, c.options) == ("b", (Option("x", "X", hidden=True), Option("y", "y")))
    assert c.external_options
    assert c.hubspot_defined


def test_the_account_is_known_by_its_id():
    assert wire.account({"portalId": 4242, "timeZone": "Europe/Paris"}).portal_id == "4242"
    with pytest.raises(wire.Malformed):
        wire.account({"timeZone": "Europe/Paris"})


@pytest.mark.parametrize(
    "content", [rb'{"city": "Ly\u0000on"}', rb'{"city": "Ly\ud83don"}', b'{"city": "Ly\xed\xa0\x80on"}']
)
def test_a_character_that_no_database_takes_does_not_stop_a_page(content):
    assert wire.loads(content) == {"city": "Ly\ufffdon"}


@pytest.mark.parametrize("content", [b'{"results": [', b"<html>", b"\xff", b'"a\x00b"', b""])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(ValueError):
        wire.loads(content)
