"""Which calls are HubSpot's, and what they hint at."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from mercuri.hubspot.webhooks import HintKind, Verdict, parse, sign_v3, verify

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
URL = "https://www.example.com/webhook_uri"
BODY = b"{'example_field':'example_value'}"


def at(timestamp: int, late: timedelta = timedelta()) -> datetime:
    return datetime.fromtimestamp(timestamp / 1000, UTC) + late


def signed(timestamp: int, signature: str) -> dict[str, str]:
    return {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": str(timestamp)}


@pytest.mark.parametrize(
    ("timestamp", "signature"),
    [
        (1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
        (1700000300000, "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
    ],
)
def test_a_call_that_hubspot_signed_is_genuine(timestamp, signature):
    verdict = verify(SECRET, "POST", URL, BODY, signed(timestamp, signature), at(timestamp, timedelta(minutes=4)))

    assert verdict is Verdict.GENUINE


@pytest.mark.parametrize(
    ("secret", "method", "url", "body"),
    [
        ("another", "POST", URL, BODY),
        (SECRET, "GET", URL, BODY),
        (SECRET, "POST", URL + "?x=1", BODY),
        (SECRET, "POST", URL, BODY + b" "),
    ],
)
def test_a_call_changed_on_its_way_is_forged(secret, method, url, body):
    headers = signed(1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=")

    assert verify(secret, method, url, body, headers, at(1693657560000)) is Verdict.FORGED


@pytest.mark.parametrize("late", [timedelta(minutes=5, seconds=1), timedelta(minutes=-6)])
def test_an_old_call_may_be_a_replay(late):
    headers = signed(1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=")

    assert verify(SECRET, "POST", URL, BODY, headers, at(1693657560000, late)) is Verdict.STALE


def test_the_address_is_decoded_as_hubspot_decodes_it_before_it_signs():
    url = "https://a.example/hook%2Fin?to=ana%40b.example&sum=1%2B1&list=a%2cb"
    signature = sign_v3(SECRET, "POST", "https://a.example/hook/in?to=ana@b.example&sum=1%2B1&list=a,b", BODY, "1000")

    assert verify(SECRET, "POST", url, BODY, signed(1000, signature), at(1000)) is Verdict.GENUINE


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hubspot-signature-v3": "abc"},
        {"x-hubspot-signature-v3": "abc", "x-hubspot-request-timestamp": "yesterday"},
        {"x-hubspot-signature-v3": "äöü", "x-hubspot-request-timestamp": ""},
    ],
)
def test_a_call_without_a_whole_signature_is_not_hubspots(headers):
    assert not verify(SECRET, "POST", URL, BODY, headers, at(1693657560000))


def test_a_signature_that_is_no_ascii_is_forged_and_not_a_crash():
    assert verify(SECRET, "POST", URL, BODY, signed(1000, "äöü"), at(1000)) is Verdict.FORGED


def test_the_older_signatures_count_only_where_they_are_allowed():
    v2 = hashlib.sha256(SECRET.encode() + b"POST" + URL.encode() + BODY).hexdigest()
    v1 = hashlib.sha256(SECRET.encode() + BODY).hexdigest()
    now, old = at(1000), ("v3", "v2", "v1")

    for version, signature in (("v2", v2), ("v1", v1)):
        headers = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version}
        assert verify(SECRET, "POST", URL, BODY, headers, now) is Verdict.UNSIGNED
        assert verify(SECRET, "POST", URL, BODY, headers, now, versions=old) is Verdict.GENUINE
        assert verify("another", "POST", URL, BODY, headers, now, versions=old) is Verdict.FORGED


def test_a_replayed_v3_call_is_not_saved_by_its_v2_signature():
    v2 = hashlib.sha256(SECRET.encode() + b"POST" + URL.encode() + BODY).hexdigest()
    headers = signed(1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=")
    headers |= {"X-HubSpot-Signature": v2, "X-HubSpot-Signature-Version": "v2"}

    verdict = verify(SECRET, "POST", URL, BODY, headers, at(1700000300000), versions=("v3", "v2"))

    assert verdict is Verdict.STALE


def an_event(**fields: object) -> dict[str, object]:
    base = {
        "eventId": 1,
        "portalId": 4242,
        "appId": 77,
        "occurredAt": 1773057600000,
        "attemptNumber": 0,
        "objectId": 51,
    }
    return (
        base | {"subscriptionType": "contact.propertyChange", "changeSource": "CRM_UI", "sourceId": "userId:9"} | fields
    )


def test_a_change_tells_which_property_of_which_record_and_who_did_it():
    hints = parse(json.dumps([an_event(propertyName="city", propertyValue="Paris")]).encode())

    assert [(h.portal_id, h.kind, h.object_id, h.property, h.change_source, h.source_id) for h in hints] == [
        ("4242", HintKind.CHANGED, "51", "city", "CRM_UI", "userId:9")
    ]
    assert hints[0].occurred_at == at(1773057600000)
    assert "Paris" not in repr(hints)


def test_a_merge_names_every_record_that_may_be_the_survivor():
    merge = an_event(
        subscriptionType="contact.merge", objectId=52, primaryObjectId=51, mergedObjectIds=[51, 52], newObjectId=90
    )

    hint = parse(json.dumps([merge]).encode())[0]

    assert (hint.kind, hint.record_ids()) == (HintKind.MERGED, ("90", "51", "52"))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"subscriptionType": "object.deletion", "objectTypeId": "0-1"}, HintKind.DELETED),
        ({"subscriptionType": None, "eventType": "contact.creation"}, HintKind.CREATED),
        ({"subscriptionType": "contact.privacyDeletion"}, HintKind.ERASED),
        ({"subscriptionType": "contact.restore"}, HintKind.RESTORED),
    ],
)
def test_every_spelling_of_an_event_is_understood(fields, kind):
    assert parse(json.dumps([an_event(**fields)]).encode())[0].kind is kind


@pytest.mark.parametrize(
    "event",
    [
        an_event(subscriptionType="contact.associationChange"),
        an_event(subscriptionType="company.propertyChange"),
        an_event(subscriptionType="object.deletion", objectTypeId="0-2"),
        an_event(subscriptionType="contact.somethingNew"),
        an_event(objectId=None),
        "no event",
        {},
    ],
)
def test_what_is_not_about_a_contact_is_left_out_and_the_rest_is_kept(event):
    hints = parse(json.dumps([event, an_event(objectId=52)]).encode())

    assert [hint.object_id for hint in hints] == ["52"]


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b"[", b"null"])
def test_a_body_that_is_no_list_is_refused(body):
    with pytest.raises(ValueError):
        parse(body)
