"""The client against a whole portal, under both values of every switch that matters to it."""

from __future__ import annotations

import pytest
from tests.support.connected import PROPERTIES, connected
from tests.support.hubspot import MemoryTokens
from tests.support.sandbox import running_sandbox

from mercuri.core.properties import Property
from mercuri.errors import BadRequest, MissingScope, NotThere, Unauthorised, Unavailable
from mercuri.hubspot.client import Client, Filter, Write
from mercuri.hubspot.oauth import OAuth
from mercuri.hubspot.pacing import Lane, Limit, Pacer
from mercuri.hubspot.tokens import Tokens, TokenService
from mercuri.hubspot.transport import open_http
from mercuri.hubspot.webhooks import HintKind, Verdict, parse, verify


def everyone(client: Client, properties: list[str] = PROPERTIES) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        page = client.list_contacts(properties, after)
        ids += [record.id for record in page.records]
        after = page.after
        if after is None:
            return ids


@pytest.mark.parametrize("order", ["id", "none"])
def test_the_list_gives_every_contact_once(order):
    desk = connected(contacts=250, switches={"list_order": order})

    assert sorted(everyone(desk.client)) == sorted(desk.sandbox.contact_ids())


def test_properties_too_long_for_an_address_give_the_same_records():
    desk = connected(contacts=150)
    names = PROPERTIES + [f"own_property_with_a_long_name_{number:03}" for number in range(300)]
    short, long = desk.client.list_contacts(PROPERTIES), desk.client.list_contacts(names)

    assert [record.id for record in long.records] == [record.id for record in short.records]
    assert all(
        {name: a.properties[name] for name in PROPERTIES} == dict(b.properties)
        for a, b in zip(long.records, short.records, strict=True)
    )


@pytest.mark.parametrize("empty", ["random", "absent", "null"])
def test_an_empty_property_is_empty_however_hubspot_shows_it(empty):
    desk = connected(switches={"empty_property": empty})
    desk.sandbox.create({"firstname": "Ana", "phone": ""})

    (record,) = desk.client.list_contacts(PROPERTIES).records

    assert record.properties == {"firstname": "Ana", "lastname": "", "email": "", "phone": ""}


def test_a_search_finds_by_time_and_tells_the_total():
    desk = connected(contacts=30)
    desk.clock.advance(3600)
    start = desk.clock.now()
    changed = desk.sandbox.contact_ids()[:3]
    for record_id in changed:
        desk.sandbox.update(record_id, {"city": "Paris"})
    since = Filter("lastmodifieddate", "GTE", str(int(start.timestamp() * 1000)))

    page = desk.client.search([[since]], PROPERTIES, sort=("hs_object_id", False))

    assert page.total == 3
    assert sorted(record.id for record in page.records) == sorted(changed)


@pytest.mark.parametrize("old_id", ["survivor", "missing"])
@pytest.mark.parametrize("merge_id", ["new", "primary"])
def test_a_merged_away_id_leads_to_the_survivor(merge_id, old_id):
    desk = connected(switches={"merge_id": merge_id, "read_old_id": old_id})
    ana, other, bo = (desk.sandbox.create({"firstname": name}) for name in ("Ana", "Anna", "Bo"))
    survivor = desk.client.merge(ana, other).id

    found = desk.client.read_many([ana, other, bo, "999999"], PROPERTIES)

    assert {key: record.id for key, record in found.items()} == {ana: survivor, other: survivor, bo: bo}
    assert desk.client.read(other, PROPERTIES).id == survivor


@pytest.mark.parametrize("traces", ["ignored", "honoured"])
@pytest.mark.parametrize("old_id", ["left_out", "not_found"])
def test_each_write_has_its_own_outcome(traces, old_id):
    desk = connected(switches={"trace_ids": traces, "update_old_id": old_id})
    ana, bo, cy = (desk.sandbox.create({"firstname": name, "email": f"{name}@b.test"}) for name in ("ana", "bo", "cy"))
    writes = [
        Write(cy, {"lastname": "C"}),
        Write("999999", {"lastname": "X"}),
        Write(bo, {"email": "ana@b.test"}),
        Write(ana, {"lastname": "A"}),
    ]

    done, absent, taken, also_done = desk.client.update_many(writes)

    assert (done.record and done.record.id, also_done.record and also_done.record.id) == (cy, ana)
    assert isinstance(absent.error, NotThere)
    assert isinstance(taken.error, BadRequest)
    assert taken.error.status == 409
    assert [(desk.sandbox.contact(key) or {}).get("lastname") for key in (ana, bo, cy)] == ["A", None, "C"]


@pytest.mark.parametrize("traces", ["ignored", "honoured"])
def test_an_upsert_by_our_own_property_makes_one_record_however_often_it_is_sent(traces):
    desk = connected(switches={"trace_ids": traces})
    assert desk.client.ensure_unique_property("mercuri_contact_id", "Mercuri id")
    writes = [Write(f"c{number}", {"firstname": f"Person {number}"}) for number in range(120)]

    first = desk.client.upsert_many(writes, "mercuri_contact_id")
    again = desk.client.upsert_many(writes, "mercuri_contact_id")

    assert all(outcome.created is True for outcome in first)
    assert all(outcome.created is False for outcome in again)
    assert [outcome.record and outcome.record.id for outcome in first] == [
        outcome.record and outcome.record.id for outcome in again
    ]
    assert len(desk.sandbox.contact_ids()) == 120
    found = desk.client.read_many([write.key for write in writes], PROPERTIES, id_property="mercuri_contact_id")
    assert len(found) == 120


def test_a_lost_reply_is_told_and_the_write_is_not_sent_again():
    desk = connected()
    desk.sandbox.fault("lost_reply_after", match="contacts$", method="POST")

    with pytest.raises(Unavailable) as caught:
        desk.client.create({"firstname": "Ana", "email": "ana@b.test"})

    assert caught.value.may_have_happened
    assert len(desk.sandbox.contact_ids()) == 1
    assert desk.sandbox.counts()["write"] == 1


@pytest.mark.parametrize("fault", ["429", "423", "500", "502", "503", "504", "cut", "truncated", "timeout"])
def test_a_read_outlives_every_passing_fault(fault):
    desk = connected(contacts=30)
    desk.sandbox.fault(fault, count=2)

    assert len(desk.client.list_contacts(PROPERTIES).records) == 30


@pytest.mark.parametrize("retry_after", ["absent", "present"])
def test_a_search_that_meets_its_limit_waits_and_goes_on(retry_after):
    desk = connected(contacts=300, search="2/1", switches={"retry_after": retry_after})

    for _ in range(6):
        assert desk.client.search([], PROPERTIES).total == 300

    assert desk.client.calls.throttled == desk.sandbox.counts()["throttled"] > 0


def test_a_paced_client_is_never_throttled():
    desk = connected(contacts=50, burst=Limit(110, 10), **{"search": "5/1"})
    desk.sandbox.set_limits(burst="20/10")

    for _ in range(100):
        desk.client.list_contacts(PROPERTIES)

    # The first answer's headers tell the real limit.
    assert desk.sandbox.counts()["throttled"] == 0
    assert desk.clock.monotonic() >= 40


def test_an_archived_record_is_found_among_the_archived_only():
    desk = connected()
    ana, bo = desk.sandbox.create({"firstname": "Ana"}), desk.sandbox.create({"firstname": "Bo"})

    desk.client.archive_many([ana])

    assert everyone(desk.client) == [bo]
    (archived,) = desk.client.list_contacts(PROPERTIES, archived=True).records
    assert (archived.id, archived.archived, archived.archived_at) == (ana, True, desk.clock.now())
    with pytest.raises(NotThere):
        desk.client.read(ana, PROPERTIES)
    assert desk.client.read(ana, PROPERTIES, archived=True).id == ana


def test_a_person_who_was_erased_is_gone():
    desk = connected()
    ana = desk.sandbox.create({"firstname": "Ana"})

    desk.client.erase(ana)

    with pytest.raises(NotThere):
        desk.client.read(ana, PROPERTIES, archived=True)


def test_the_history_tells_who_wrote_a_value():
    desk = connected()
    ana = desk.sandbox.create({"firstname": "Ana"})
    desk.clock.advance(60)
    desk.client.update(ana, {"firstname": "Anna"})

    record = desk.client.read(ana, PROPERTIES, history=["firstname"])
    many = desk.client.read_many([ana], PROPERTIES, history=["firstname"])

    newest, oldest = record.history["firstname"][0], record.history["firstname"][-1]
    assert (newest.value, newest.at) == ("Anna", desk.clock.now())
    assert (oldest.value, oldest.source) == ("Ana", "CRM_UI")
    assert many[ana].history == record.history


def test_an_opt_out_from_all_email_is_heard():
    desk = connected()
    ana, bo = (desk.client.create({"email": email}).id for email in ("ana+news@b.test", "bo@b.test"))

    desk.client.on(Lane.OPT_OUT).unsubscribe_email("ana+news@b.test")

    found = desk.client.read_many([ana, bo], ["hs_email_optout"])
    assert [found[record].properties["hs_email_optout"] for record in (ana, bo)] == ["true", ""]


def test_a_property_that_a_person_adds_is_seen_and_one_of_ours_can_be_made():
    desk = connected()
    desk.sandbox.add_property(
        {
            "name": "sms_opt_in",
            "label": "SMS",
            "type": "bool",
            "fieldType": "booleancheckbox",
            "groupName": "contactinformation",
        }
    )

    desk.client.create_property(Property("shoe_size", "Shoe size", "number", "number"))

    known = {found.name: found for found in desk.client.properties()}
    assert (known["sms_opt_in"].type, known["shoe_size"].type) == ("bool", "number")
    assert known["hs_object_id"].read_only
    assert not known["firstname"].read_only


@pytest.mark.parametrize("info", ["refused", "allowed"])
def test_the_portal_is_known_even_to_a_token_that_may_not_ask(info):
    desk = connected(contacts=1, switches={"static_account_info": info})

    assert desk.client.account().portal_id == "4242"


def test_an_empty_portal_that_may_not_be_asked_says_so():
    desk = connected()

    with pytest.raises(MissingScope):
        desk.client.account()


def test_a_revoked_portal_asks_for_a_new_connection():
    desk = connected()
    desk.sandbox.fault("revoked", count=0)

    with pytest.raises(Unauthorised):
        desk.client.list_contacts(PROPERTIES)


def test_a_call_of_the_sandbox_carries_a_genuine_signature():
    desk = connected()
    desk.sandbox.webhooks.target = target = "https://mercuri.example/webhooks/hubspot?in=a%2Fb"
    ana, other = desk.sandbox.create({"firstname": "Ana"}), desk.sandbox.create({"firstname": "Anna"})
    survivor = desk.sandbox.merge(ana, other)
    (events,) = desk.sandbox.webhooks.take()
    headers, body = desk.sandbox.webhooks.signed(events, int(desk.clock.now().timestamp() * 1000))

    verdict = verify("sandbox-secret", "POST", target, body, headers, desk.clock.now())
    merges = [hint for hint in parse(body) if hint.kind is HintKind.MERGED]

    assert verdict is Verdict.GENUINE
    assert {ana, other, survivor} <= set(merges[0].record_ids())


def test_over_a_real_connection_nothing_changes():
    with running_sandbox(contacts=120) as running, open_http(4) as http:
        oauth = OAuth(running.url, running.url, "sandbox-client", "sandbox-secret", "http://localhost/callback", http)
        tokens = TokenService(MemoryTokens(Tokens(running.sandbox.static_token, kind="static")), oauth)
        client = Client(http, running.url, tokens, Pacer(Limit(1000, 1), Limit(1000, 1)), portal="4242")

        assert sorted(everyone(client)) == sorted(running.sandbox.contact_ids())
        running.sandbox.fault("cut", count=1)
        with pytest.raises(Unavailable) as caught:
            client.create({"firstname": "Ana"})
        assert caught.value.may_have_happened
