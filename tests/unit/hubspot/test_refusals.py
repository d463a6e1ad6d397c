"""HubSpot's refusals in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mercuri.core.properties import Option, Property
from mercuri.errors import BadRequest, HubSpotError, MissingScope, NotThere, RateLimited, Unauthorised, Unavailable
from mercuri.hubspot.errors import explain, from_answer, refusals

INVALID = [
    {"isValid": False, "message": "Email address ana@ is invalid", "error": "INVALID_EMAIL", "name": "email"},
    {
        "isValid": False,
        "message": "Mars was not one of the allowed options: [Earth]",
        "error": "INVALID_OPTION",
        "name": "planet",
    },
]


def error_of(status: int, body: Any, headers: dict[str, str] | None = None) -> HubSpotError:
    return from_answer(status, body, headers or {}, raw=json.dumps(body), portal="4242")


def test_every_refused_property_is_found_though_errors_holds_fewer():
    body = {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": "Property values were not valid: " + json.dumps(INVALID),
        "errors": [{"message": "x", "code": "INVALID_EMAIL", "context": {"propertyName": ["email"]}}],
    }

    found = refusals(error_of(400, body))

    assert [(refusal.property, refusal.code) for refusal in found] == [
        ("email", "INVALID_EMAIL"),
        ("planet", "INVALID_OPTION"),
    ]
    assert all(refusal.message and refusal.fix for refusal in found)


def test_no_value_of_a_contact_stands_in_a_message():
    error = error_of(400, {"message": "Property values were not valid: " + json.dumps(INVALID)})

    assert "ana@" not in str(error) + explain(error).message
    assert "email" in str(error)


def test_required_properties_of_the_portal_are_named_one_by_one():
    item = {"code": "MISSING_REQUIRED_PROPERTY", "context": {"propertyName": ["city", "country"]}}

    found = refusals(error_of(400, {"errors": [item]}))

    assert [refusal.property for refusal in found] == ["city", "country"]
    assert "requires it" in found[0].message


def test_a_calculated_property_is_recognised_without_its_code():
    inner = [
        {"error": "SOMETHING", "name": "hs_object_id", "message": '"hs_object_id" is a calculated property; its value'}
    ]

    refusal = explain(error_of(400, {"message": "Property values were not valid: " + json.dumps(inner)}))

    assert refusal.code == "READ_ONLY_VALUE"


def test_a_refused_choice_names_the_possible_ones_but_no_more_than_a_sentence_holds():
    offered = [Option(str(n), f"Choice {n}", hidden=n == 2) for n in range(1, 16)]
    team = Property("team", "Your team", "enumeration", "select", options=tuple(offered))
    inner = [{"error": "INVALID_OPTION", "name": "team", "message": "secret was not one of the allowed options"}]

    refusal = explain(error_of(400, {"message": json.dumps(inner)}), {"team": team}.get)

    assert refusal.message == "The value of “Your team” is not one of its choices in HubSpot."
    assert refusal.fix.startswith("Options: Choice 1, Choice 3, Choice 4, ")
    assert "Choice 13, …. Add the choice" in refusal.fix


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Unauthorised),
        (403, MissingScope),
        (404, NotThere),
        (409, BadRequest),
        (414, BadRequest),
        (423, RateLimited),
        (429, RateLimited),
        (477, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
        (524, Unavailable),
        (530, Unavailable),
    ],
)
def test_the_status_decides_whatever_the_body_lacks(status, kind):
    error = error_of(status, {"message": None, "errors": "x", "context": []})

    assert type(error) is kind
    assert (error.status, error.portal) == (status, "4242")
    assert explain(error).message
    assert explain(error).fix


@pytest.mark.parametrize("body", [None, [], "text", {"errors": [None, {"context": None}]}])
def test_a_body_of_any_shape_is_survived(body):
    assert isinstance(error_of(400, body), BadRequest)
    assert isinstance(error_of(403, body), MissingScope)
    assert isinstance(error_of(429, body), RateLimited)


@pytest.mark.parametrize(
    ("body", "headers", "waits", "daily"),
    [
        ({"message": "You have reached your secondly limit.", "category": "RATE_LIMITS"}, {}, 1, False),
        ({"message": "Your secondly limit.", "policyName": "TEN_SECONDLY_ROLLING"}, {}, 1, False),
        ({"message": "You have reached your ten_secondly_rolling limit."}, {}, 10, False),
        ({"message": "", "policyName": "TEN_SECONDLY_ROLLING"}, {}, 10, False),
        ({"message": "", "policyName": "SECONDLY"}, {}, 1, False),
        ({"message": "You have reached your daily limit.", "policyName": "DAILY"}, {}, 3600, True),
        ({}, {}, 10, False),
        ({}, {"retry-after": "7"}, 7, False),
        ({}, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10, False),
    ],
)
def test_the_wait_follows_the_header_else_the_policy(body, headers, waits, daily):
    error = error_of(429, body, headers)

    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.daily) == (waits, daily)


def test_a_moving_account_is_parked_for_as_long_as_hubspot_says():
    error = error_of(477, {}, {"retry-after": "86400"})

    assert isinstance(error, RateLimited)
    assert error.retry_after == 86400


def test_scopes_are_found_in_the_context_and_in_the_text():
    granular = {"errors": [{"context": {"requiredGranularScopes": ["crm.export", "crm.import"]}}]}
    written = {"message": "You do not have permissions (requires one of [crm.schemas.contacts.read, oauth])"}

    assert getattr(error_of(403, granular), "scopes", ()) == ("crm.export", "crm.import")
    assert getattr(error_of(403, written), "scopes", ()) == ("crm.schemas.contacts.read", "oauth")
