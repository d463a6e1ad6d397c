"""Merges that reach HubSpot: after the hold, pairwise and read back; cancelled, failed, and made there first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.support.fuse import Fuse, PowerCut, at_every_moment, fused
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import LinkState, PortalId, RecordId
from mercuri.engine import consent, dedupe, edit, run
from mercuri.engine import portal as engine_portal
from mercuri.errors import Clash
from mercuri.sandbox import Sandbox
from mercuri.sandbox.api import STATIC_TOKEN
from mercuri.store import conflicts, hubspot_merges, links, merges
from mercuri.store.conflicts import Conflict
from mercuri.store.merges import Merge
from mercuri.store.runs import Run

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


def state_of(merge: Merge) -> str:
    """What becomes of it in HubSpot."""
    return merge.in_hubspot.state if merge.in_hubspot else "none"


def disputes(world: World, state: str) -> list[Conflict]:
    with world.app.db.read(world.ws) as tx:
        return conflicts.recent(tx, state=state)


def after_the_hold(world: World) -> int:
    world.clock.advance(timedelta(hours=25).total_seconds())
    return dedupe.hubspot_merges_due(world.app, world.ws)


def test_hubspot_waits_for_the_hold_and_then_merges_for_good(world: World) -> None:
    one, other = two_records(world)
    done = merge(world)
    assert state_of(stored(world, done)) == "held"
    assert dedupe.hubspot_merges_due(world.app, world.ws) == 0
    assert world.sandbox.contact(other) is not None

    assert after_the_hold(world) == 1

    assert state_of(stored(world, done)) == "done"
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

    assert state_of(stored(world, done)) == "none"
    assert world.link_of(done.merge.survivor) is not None


def test_with_two_way_off_hubspot_keeps_its_records(world: World) -> None:
    one, other = two_records(world)
    world.settings(two_way=False)

    done = merge(world)
    after_the_hold(world)

    assert state_of(stored(world, done)) == "none"
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
    assert state_of(cancelled) == "cancelled"
    assert after_the_hold(world) == 0
    with pytest.raises(Clash):
        dedupe.decide_in_hubspot(world.app, world.ws, done.merge.id, "now", OWNER)


def test_a_merge_made_now_needs_a_confirmation_to_be_taken_back(world: World) -> None:
    two_records(world)
    done = merge(world)
    made = dedupe.decide_in_hubspot(world.app, world.ws, done.merge.id, "now", OWNER)
    assert state_of(made) == "done"

    with pytest.raises(Clash, match="for good"):
        dedupe.undo_merge(world.app, world.ws, done.merge.id, OWNER)

    assert len(world.contacts()) == 1


def test_who_comes_back_after_a_merge_in_hubspot_becomes_a_new_record(world: World) -> None:
    one, other = two_records(world)
    world.sandbox.update(other, {"email": ""})
    world.sync()
    done = merge(world)
    dedupe.decide_in_hubspot(world.app, world.ws, done.merge.id, "now", OWNER)

    undone = dedupe.undo_merge(world.app, world.ws, done.merge.id, OWNER, confirm=True)
    world.sync()
    last = world.sync(full=True)

    survivor, back = (world.link_of(contact.id) for contact in undone.contacts)
    assert survivor is not None
    assert back is not None
    assert back.record_id not in (one, other, survivor.record_id)
    assert world.record(back.record_id)["phone"]
    assert len(world.contacts()) == 2
    assert (last.counts["created"], last.counts["pushed_created"], last.counts["pushed_updated"]) == (0, 0, 0)


def test_an_address_that_hubspot_kept_at_its_merge_is_freed_there_first(world: World) -> None:
    two_records(world)
    done = merge(world)
    dedupe.decide_in_hubspot(world.app, world.ws, done.merge.id, "now", OWNER)
    undone = dedupe.undo_merge(world.app, world.ws, done.merge.id, OWNER, confirm=True)
    back = undone.contacts[1]
    world.sync()
    (failure,) = world.failures()
    assert (failure.contact_id, "a further address" in failure.message) == (back.id, True)
    assert world.link_of(back.id) is None

    link = world.link_of(done.merge.survivor)
    assert link is not None
    world.sandbox.switch(additional_emails="writable")
    world.sandbox.update(link.record_id, {"hs_additional_emails": ""})
    edit.retry_failures(world.app, world.ws, [failure.id], OWNER)
    world.sync()

    made = world.link_of(back.id)
    assert made is not None
    assert world.record(made.record_id)["email"] == back.fields["email"]
    assert world.failures() == []


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
    assert state_of(failed) == "failed"
    assert "Not merged in HubSpot" in failed.hubspot[0].note
    assert len(world.contacts()) == 1


def test_a_merge_whose_answer_was_lost_is_seen_and_not_sent_again(world: World) -> None:
    one, other = two_records(world)
    done = merge(world)
    (wanted,) = stored(world, done).hubspot
    world.sandbox.merge(wanted.primary, wanted.others[0])

    assert after_the_hold(world) == 1
    world.sync(full=True)

    assert state_of(stored(world, done)) == "done"
    assert len(world.contacts()) == 1
    assert one != other


def test_what_was_typed_into_the_other_record_during_the_hold_can_be_put_back(world: World) -> None:
    two_records(world, lastname="Souza")
    done = merge(world)
    (wanted,) = stored(world, done).hubspot
    (other,) = wanted.others
    world.sandbox.update(other, {"firstname": "Anna", "phone": "+44 (7911) 123456", "lastname": ""})
    world.sync()

    after_the_hold(world)
    world.sync()

    (lost,) = disputes(world, "decided")
    assert (lost.contact_id, lost.field, lost.local, lost.remote) == (done.merge.survivor, "first_name", "Ana", "Anna")
    assert (lost.resolution, lost.remote_by) == ("mercuri", "HubSpot")
    assert world.contact(done.merge.survivor).fields["first_name"] == "Ana"
    assert disputes(world, "open") == []


def test_what_was_typed_into_the_other_record_is_kept_also_when_an_emptied_value_wins(world: World) -> None:
    two_records(world, lastname="Lima")
    done = merge(world)
    (wanted,) = stored(world, done).hubspot
    world.sandbox.update(wanted.primary, {"lastname": "Lima"})
    world.sandbox.update(wanted.primary, {"lastname": ""})
    world.sandbox.update(wanted.others[0], {"lastname": "Souza"})

    after_the_hold(world)

    (lost,) = disputes(world, "decided")
    assert (lost.field, lost.remote) == ("last_name", "Souza")


def test_what_was_typed_into_the_other_record_survives_a_power_cut(tmp_path: Path) -> None:
    def story(world: World, after: int) -> bool:
        two_records(world)
        done = merge(world)
        (wanted,) = stored(world, done).hubspot
        world.sandbox.update(wanted.others[0], {"firstname": "Anna"})
        world.clock.advance(timedelta(hours=25).total_seconds())
        fuse = Fuse(after)

        with suppress(PowerCut):
            dedupe.hubspot_merges_due(fused(world.app, SandboxTransport(world.sandbox), fuse), world.ws)
        world.clock.advance(timedelta(hours=1).total_seconds())
        dedupe.hubspot_merges_due(world.app, world.ws)

        assert state_of(stored(world, done)) == "done"
        assert [one.remote for one in disputes(world, "decided")] == ["Anna"]
        return fuse.blown

    at_every_moment(tmp_path, story)


def test_what_was_typed_into_the_other_record_and_won_there_is_no_conflict(world: World) -> None:
    two_records(world)
    done = merge(world)
    (wanted,) = stored(world, done).hubspot
    world.sandbox.update(wanted.others[0], {"lastname": "Souza"})

    after_the_hold(world)
    world.sync()

    assert disputes(world, "decided") == []
    assert world.contact(done.merge.survivor).fields["last_name"] == "Souza"


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


# --- several portals ------------------------------------------------------------------------------------------------

OTHER = PortalId("4343")


class _ByToken(httpx.BaseTransport):
    """Two portals at one address: each has a token of its own."""

    def __init__(self, sandboxes: dict[str, Sandbox]) -> None:
        self.behind = {token: SandboxTransport(sandbox) for token, sandbox in sandboxes.items()}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].partition(" ")[2]
        request.headers["authorization"] = f"Bearer {STATIC_TOKEN}"
        return self.behind[token].handle_request(request)


@dataclass
class Both:
    """Ana twice in two portals, merged here; both portals wait for their hold."""

    world: World
    second: Sandbox
    records: tuple[str, str]
    done: dedupe.MergeDone

    def states(self) -> dict[PortalId, str]:
        return {one.portal: one.state for one in stored(self.world, self.done).hubspot}

    def decide(self, action: str, portal: PortalId) -> None:
        dedupe.decide_in_hubspot(self.world.app, self.world.ws, self.done.merge.id, action, OWNER, portal=portal)


@pytest.fixture
def both(world: World) -> Iterator[Both]:
    second = Sandbox(now=world.clock.now, portal_id=int(OTHER))
    second.switch(static_account_info="allowed")
    records = two_records(world)
    for email in ("ana@example.com", "a@example.com"):
        second.create({"firstname": "Ana", "email": email, "phone": PHONE})
    with httpx.Client(transport=_ByToken({STATIC_TOKEN: world.sandbox, "second": second})) as http:
        world.app = replace(world.app, http=http)
        engine_portal.connect_static(world.app, world.ws, "second", OWNER)
        engine_portal.change_settings(world.app, world.ws, OTHER, {"two_way": True}, OWNER)
        sync_second(world)
        yield Both(world, second, records, merge(world))


def sync_second(world: World) -> Run:
    """A run of the second portal."""
    world.clock.advance(120)
    asked = run.request(world.app, world.ws, OTHER, full=False, preview=False, trigger="button", actor=OWNER)
    return world.go(asked)


def test_each_portal_waits_for_itself_and_is_cancelled_by_itself(both: Both) -> None:
    assert both.states() == {PORTAL: "held", OTHER: "held"}

    both.decide("cancel", PORTAL)
    assert both.states() == {PORTAL: "cancelled", OTHER: "held"}
    assert after_the_hold(both.world) == 1

    assert both.states() == {PORTAL: "cancelled", OTHER: "done"}
    with pytest.raises(Clash):
        both.decide("now", PORTAL)


def test_a_portal_that_fails_is_no_obstacle_for_the_other(both: Both) -> None:
    both.world.settings(two_way=False)

    assert after_the_hold(both.world) == 1

    assert both.states() == {PORTAL: "failed", OTHER: "done"}
    both.world.settings(two_way=True)
    both.decide("now", PORTAL)
    assert both.states() == {PORTAL: "done", OTHER: "done"}


def test_an_undo_gives_back_what_one_portal_still_has_and_makes_anew_what_the_other_merged(both: Both) -> None:
    world = both.world
    both.decide("now", OTHER)
    with pytest.raises(Clash, match="for good"):
        dedupe.undo_merge(world.app, world.ws, both.done.merge.id, OWNER)

    undone = dedupe.undo_merge(world.app, world.ws, both.done.merge.id, OWNER, confirm=True)

    assert both.states() == {PORTAL: "cancelled", OTHER: "done"}
    assert after_the_hold(world) == 0
    world.sync()
    sync_second(world)
    assert {world.link_of(contact.id).record_id for contact in undone.contacts} == set(both.records)  # type: ignore[union-attr]
    assert len(world.contacts()) == 2


def test_nothing_is_undone_while_hubspot_is_merging(both: Both) -> None:
    world = both.world
    with world.app.db.write(world.ws) as tx:
        first = stored(world, both.done).hubspot[0]
        until = world.clock.now() + timedelta(minutes=10)
        hubspot_merges.save(tx, both.done.merge.id, replace(first, state="merging", until=until))

    with pytest.raises(Clash, match="just merging"):
        dedupe.undo_merge(world.app, world.ws, both.done.merge.id, OWNER)
    assert dedupe.hubspot_merges_due(world.app, world.ws) == 0
    assert len(world.contacts()) == 1

    assert after_the_hold(world) == 2  # its worker died: another one went on
    assert both.states() == {PORTAL: "done", OTHER: "done"}
