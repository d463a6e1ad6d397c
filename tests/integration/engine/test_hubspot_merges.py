"""Merges that reach HubSpot: after the hold, pairwise and read back; cancelled, failed, and made there first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import LinkState, RecordId
from mercuri.engine import consent, dedupe
from mercuri.errors import Clash
from mercuri.store import links, merges
from mercuri.store.merges import Merge

PHONE = "+44 7911 123456"
NORMAL = "+447911123456"


def two_records(world: World, **second: str) -> tuple[str, str]:
    """Two records of one person, both synced."""
    one = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": PHONE})
    other = world.sandbox.create({"firstname": "Ana", "email": "a@example.com", "phone": PHONE, **second})
    world.sync()
    return one, other


def merge(world: World) -> dedupe.MergeDone:
    """Merge the only group."""
    ((group,), _) = dedupe.list_groups(world.app, world.ws, dedupe.GroupQuery())
    return dedupe.merge(world.app, world.ws, group.id, OWNER)


def stored(world: World, done: dedupe.MergeDone) -> Merge:
    with world.app.db.read(world.ws) as tx:
        return merges.get(tx, done.merge.id)


def after_the_hold(world: World) -> int:
    world.clock.advance(timedelta(hours=25).total_seconds())
    return dedupe.hubspot_merges_due(world.app, world.ws)


def test_hubspot_waits_for_the_hold_and_then_merges_for_good(world: World) -> None:
    one, other = two_records(world)
    done = merge(world)
    assert stored(world, done).hubspot_state == "held"
    assert dedupe.hubspot_merges_due(world.app, world.ws) == 0
    assert world.sandbox.contact(other) is not None

    assert after_the_hold(world) == 1

    assert stored(world, done).hubspot_state == "done"
    with world.app.db.read(world.ws) as tx:
        known = links.all_of_contacts(tx, [done.merge.survivor])
        old = links.of_records(tx, PORTAL, [RecordId(one), RecordId(other)])
    ((_, kept),) = known
    assert kept.state is LinkState.LIVE
    assert old == {}
    assert kept.record_id not in (one, other)
    assert world.record(kept.record_id)["hs_additional_emails"]


def test_the_syncs_after_a_merge_make_no_duplicate_and_write_nothing_more(world: World) -> None:
    two_records(world)
    merge(world)
    first = world.sync(full=True)
    after_the_hold(world)
    world.sync()

    last = world.sync(full=True)

    assert first.counts["created"] == 0
    assert len(world.contacts()) == 1
    assert (last.counts["created"], last.counts["pushed_created"], last.counts["pushed_updated"]) == (0, 0, 0)


def test_one_linked_member_needs_no_merge_in_hubspot(world: World) -> None:
    world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", "phone": PHONE})
    world.sync()
    world.create(first_name="Ana", phone=PHONE)

    done = merge(world)

    assert stored(world, done).hubspot_state == "none"
    assert world.link_of(done.merge.survivor) is not None


def test_with_two_way_off_hubspot_keeps_its_records(world: World) -> None:
    one, other = two_records(world)
    world.settings(two_way=False)

    done = merge(world)
    after_the_hold(world)

    assert stored(world, done).hubspot_state == "none"
    assert world.sandbox.contact(one) is not None
    assert world.sandbox.contact(other) is not None


def test_a_merge_taken_back_during_the_hold_costs_nothing(world: World) -> None:
    one, other = two_records(world)
    owners = (world.of_record(one).id, world.of_record(other).id)
    done = merge(world)

    dedupe.undo_merge(world.app, world.ws, done.merge.id, OWNER)
    assert after_the_hold(world) == 0
    world.sync()
    world.sync(full=True)

    assert (world.of_record(one).id, world.of_record(other).id) == owners
    assert len(world.contacts()) == 2
    assert world.record(one)["email"] == "ana@example.com"
    assert world.record(other)["email"] == "a@example.com"


def test_a_held_merge_can_be_cancelled_or_made_at_once(world: World) -> None:
    two_records(world)
    done = merge(world)

    cancelled = dedupe.decide_in_hubspot(world.app, world.ws, done.merge.id, "cancel", OWNER)
    assert cancelled.hubspot_state == "cancelled"
    assert after_the_hold(world) == 0
    with pytest.raises(Clash):
        dedupe.decide_in_hubspot(world.app, world.ws, done.merge.id, "now", OWNER)


def test_a_merge_made_now_needs_a_confirmation_to_be_taken_back(world: World) -> None:
    two_records(world)
    done = merge(world)
    made = dedupe.decide_in_hubspot(world.app, world.ws, done.merge.id, "now", OWNER)
    assert made.hubspot_state == "done"

    with pytest.raises(Clash, match="for good"):
        dedupe.undo_merge(world.app, world.ws, done.merge.id, OWNER)
    dedupe.undo_merge(world.app, world.ws, done.merge.id, OWNER, confirm=True)

    assert len(world.contacts()) == 2


def test_a_refusal_keeps_the_merge_here_and_never_brings_the_duplicate_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mercuri.sandbox.merging._MOST_IDENTITIES", 1)
    two_records(world)
    done = merge(world)

    assert after_the_hold(world) == 0
    world.sync()
    world.sync(full=True)

    failed = stored(world, done)
    assert failed.hubspot_state == "failed"
    assert "Not merged in HubSpot" in failed.hubspot_note
    assert len(world.contacts()) == 1


def test_a_merge_whose_answer_was_lost_is_seen_and_not_sent_again(world: World) -> None:
    one, other = two_records(world)
    done = merge(world)
    journal = stored(world, done).journal["hubspot"][0]
    world.sandbox.merge(journal["primary"], journal["others"][0])

    assert after_the_hold(world) == 1
    world.sync(full=True)

    assert stored(world, done).hubspot_state == "done"
    assert len(world.contacts()) == 1
    assert one != other


def test_a_stop_that_the_merge_in_hubspot_lost_is_said_again(world: World) -> None:
    mapped = [{"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"}]
    world.settings(consent_mapping=mapped)
    one = world.sandbox.create({"firstname": "Ana", "phone": PHONE, "email": "ana@example.com", "sms_opt_in": "true"})
    other = world.sandbox.create({"firstname": "Ana", "phone": PHONE, "sms_opt_in": "true"})
    world.sync()
    done = merge(world)
    now = world.clock.now()
    consent.record(world.app, world.ws, "sms", NORMAL, "message", OWNER, text="STOP", occurred_at=now)
    consent.push_outs(world.app, world.ws, PORTAL)
    assert {world.record(one)["sms_opt_in"], world.record(other)["sms_opt_in"]} == {"false"}
    world.sandbox.update(one, {"sms_opt_in": "true"})
    world.sandbox.update(other, {"sms_opt_in": "true"})

    after_the_hold(world)

    link = world.link_of(done.merge.survivor)
    assert link is not None
    assert world.record(link.record_id)["sms_opt_in"] == "false"
    world.sync(full=True)
    assert world.contact(done.merge.survivor).subscription_status == "not_subscribed"
    assert world.record(link.record_id)["sms_opt_in"] == "false"
