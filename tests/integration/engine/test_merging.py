"""Merging contacts and taking it back: what moves, what stays, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from tests.support.duplicates import MANAGER, Team, a_team

from mercuri.core.match import CAPS, KeyKind, MatchKey
from mercuri.core.settings import SettingRefused
from mercuri.engine import consent_setup, dedupe, edit
from mercuri.engine.app import Actor
from mercuri.errors import Clash, Forbidden, NotFound, UserError
from mercuri.store import changes, contacts, match_keys, users
from mercuri.store.database import Database

PHONE = "+44 7911 123456"


@pytest.fixture
def team(database: Database) -> Iterator[Team]:
    with a_team(database) as made:
        yield made


def ana_and_a(team: Team) -> tuple[int, int]:
    ana = team.add(first_name="Ana", last_name="Souza", phone=PHONE, email="ana@example.org")
    a = team.add(first_name="A.", last_name="Souza", phone="07911 123456", email="a.souza@example.org")
    return ana, a


def test_two_contacts_with_one_number_are_a_group_with_the_reason(team: Team) -> None:
    ana, a = ana_and_a(team)

    found = dedupe.group(team.app, team.ws, ana)

    assert found.size == 2
    assert [(one.kind, one.value, one.members) for one in found.reasons] == [("phone", "+447911123456", (ana, a))]


def test_a_merge_keeps_the_values_and_the_addresses_of_both(team: Team) -> None:
    ana, a = ana_and_a(team)
    team.edit(a, **{"custom.city": "Paris"})

    done = team.merge(ana)

    assert (done.merge.survivor, done.merge.absorbed) == (a, (ana,))  # it has more fields filled
    survivor = team.contact(a)
    assert survivor.fields["custom.city"] == "Paris"
    assert {address.normal for address in survivor.addresses} == {
        "+447911123456",
        "ana@example.org",
        "a.souza@example.org",
    }
    assert [address.normal for address in survivor.addresses if address.primary] == [
        "+447911123456",
        "a.souza@example.org",
    ]
    assert team.contact(ana).merged_into == a
    assert team.groups() == {}


def test_addresses_that_came_with_a_merge_survive_the_next_edit(team: Team) -> None:
    ana, _ = ana_and_a(team)
    team.merge(ana, survivor_id=ana)

    team.edit(ana, email="new@example.org")

    assert "a.souza@example.org" in {address.normal for address in team.contact(ana).addresses}


def test_the_person_chooses_the_survivor_and_a_value_from_another_member(team: Team) -> None:
    ana, a = ana_and_a(team)

    done = team.merge(ana, survivor_id=ana, fields={"first_name": a})

    assert done.survivor.id == ana
    assert done.survivor.fields["first_name"] == "A."
    assert done.merge.journal["choices"]["first_name"] == ["A.", a, "your choice"]


def test_a_number_that_gave_way_to_another_one_is_still_the_survivors(team: Team) -> None:
    ana = team.add(first_name="Ana", phone=PHONE, email="same@example.org")
    bea = team.add(first_name="Ana", phone="+44 7911 999999", email="same@example.org")
    before = team.keys(ana) | team.keys(bea)

    team.merge(ana, survivor_id=ana, fields={"phone": bea})

    assert team.contact(ana).fields["phone"] == "+44 7911 999999"
    assert team.keys(ana) == before


def test_a_merge_and_its_undo_leave_everything_as_it_was(team: Team) -> None:
    ana, a = ana_and_a(team)
    third = team.add(first_name="Bo", email="ana@example.org")
    team.dismiss(ana, (a, third))
    team.dismiss(ana, (ana, third))
    before = (team.groups(), [team.contact(i).fields for i in (ana, a, third)])
    addresses = [team.contact(i).addresses for i in (ana, a, third)]
    origins = [team.contact(i).origins for i in (ana, a, third)]
    keys, apart = [team.keys(i) for i in (ana, a, third)], _apart(team)

    undone = team.undo(team.merge([ana, a]))

    assert undone.kept == {}
    assert (team.groups(), [team.contact(i).fields for i in (ana, a, third)]) == before
    assert [team.contact(i).addresses for i in (ana, a, third)] == addresses
    assert [team.contact(i).origins for i in (ana, a, third)] == origins
    assert ([team.keys(i) for i in (ana, a, third)], _apart(team)) == (keys, apart)
    assert team.contact(a).merged_into is None
    team.check()


def _apart(team: Team) -> set[tuple[int, int, MatchKey, str]]:
    with team.app.db.read(team.ws) as tx:
        return {(item.a, item.b, item.key, item.by) for item in match_keys.all_apart(tx)}


def test_what_was_edited_since_a_merge_stays_and_is_listed(team: Team) -> None:
    ana, a = ana_and_a(team)
    team.edit(a, **{"custom.city": "Paris", "custom.job": "Baker"})
    done = team.merge(ana, survivor_id=ana)
    team.edit(ana, **{"custom.city": "Lyon"})

    undone = team.undo(done)

    assert undone.kept == {"custom.city": "Lyon"}
    assert team.contact(ana).fields["custom.city"] == "Lyon"
    assert "custom.job" not in team.contact(ana).fields
    assert team.contact(a).fields["custom.city"] == "Paris"
    team.check()


def test_an_address_added_since_the_merge_stays_with_the_survivor(team: Team) -> None:
    ana, _ = ana_and_a(team)
    done = team.merge(ana, survivor_id=ana)
    team.edit(ana, phone="+44 7911 777777")

    team.undo(done)

    assert {x.normal for x in team.contact(ana).addresses} >= {"+447911777777", "ana@example.org"}
    assert "a.souza@example.org" not in {x.normal for x in team.contact(ana).addresses}
    team.check()


def test_merges_are_in_the_history_of_both(team: Team) -> None:
    ana, a = ana_and_a(team)

    team.merge(ana, survivor_id=ana)

    with team.app.db.read(team.ws) as tx:
        kept = [(c.field, c.after, c.actor) for c in changes.of_contact(tx, team.contact(ana).id)]
        gone = [(c.field, c.after) for c in changes.of_contact(tx, team.contact(a).id)]
    assert ("*", f"merged with {a}", MANAGER.name) in kept
    assert ("*", f"merged into {ana}") in gone


# --- refusals: each has its answer, and nothing is lost -----------------------------------------------------------


def test_a_group_that_changed_meanwhile_is_refused_with_its_new_state(team: Team) -> None:
    ana, a = ana_and_a(team)
    late = team.add(first_name="Ann", phone=PHONE)

    with pytest.raises(Clash) as refused:
        team.merge(ana, seen=[ana, a])

    present = refused.value.present
    assert isinstance(present, dedupe.GroupView)
    assert [contact.id for contact in present.members] == [ana, a, late]
    assert team.contact(a).merged_into is None


def test_a_group_that_is_gone_is_refused(team: Team) -> None:
    ana, a = ana_and_a(team)
    team.edit(a, phone="")

    with pytest.raises(Clash):
        team.merge(ana, seen=[ana, a])
    with pytest.raises(NotFound):
        team.merge(4711)


def test_a_survivor_or_a_value_from_elsewhere_is_refused(team: Team) -> None:
    ana, a = ana_and_a(team)
    stranger = team.add(first_name="Cleo")

    with pytest.raises(UserError, match="not one of the group"):
        team.merge(ana, survivor_id=stranger)
    with pytest.raises(UserError, match="not one of the group"):
        team.merge(ana, fields={"first_name": stranger})
    with pytest.raises(UserError, match="at least two"):
        team.merge([ana, ana])
    assert team.groups() == {ana: (ana, a)}


def test_a_deleted_and_an_absorbed_member_are_refused(team: Team) -> None:
    ana, a = ana_and_a(team)
    bo = team.add(first_name="Bo", phone="+44 7400 123456")
    team.merge([ana, a], survivor_id=ana)
    edit.delete_contact(team.app, team.ws, bo, MANAGER)

    with pytest.raises(Clash, match="deleted"):
        team.merge([ana, bo])
    with pytest.raises(Clash, match=f"merged into {ana}"):
        team.merge([a, ana])
    with pytest.raises(NotFound):
        team.merge([ana, 4711])


def test_more_than_fifty_are_not_merged_at_once(team: Team) -> None:
    ids = [team.add(first_name=f"P{n}") for n in range(51)]

    with pytest.raises(UserError, match="too many"):
        team.merge(list(ids))


def test_members_marked_different_are_merged_only_with_the_override(team: Team) -> None:
    ana, a = ana_and_a(team)
    bridge = team.add(first_name="Ana", phone=PHONE, email="a.souza@example.org")
    team.dismiss(ana, (ana, a))
    assert team.groups() == {ana: (ana, a, bridge)}

    with pytest.raises(UserError, match="marked different"):
        team.merge(ana)
    done = team.merge(ana, override=True)

    assert len(done.merge.absorbed) == 2


def test_merges_are_taken_back_newest_first(team: Team) -> None:
    ana, a = ana_and_a(team)
    bo = team.add(first_name="Bo", phone=PHONE)
    first = team.merge([ana, a], survivor_id=ana)
    second = team.merge([ana, bo], survivor_id=ana)

    with pytest.raises(Clash, match=f"Merge {second.merge.id} came after"):
        team.undo(first)
    team.undo(second)
    team.undo(first)

    with pytest.raises(Clash, match="already"):
        team.undo(first)
    assert team.groups() == {ana: (ana, a, bo)}


def test_a_merge_whose_survivor_was_merged_again_waits_for_that_ones_undo(team: Team) -> None:
    ana, a = ana_and_a(team)
    bo = team.add(first_name="Bo", last_name="B", phone=PHONE)
    first = team.merge([ana, a], survivor_id=ana)
    second = team.merge([ana, bo], survivor_id=bo)
    with team.app.db.read(team.ws) as tx:
        assert contacts.survivor_of(tx, first.merge.absorbed[0]) == bo

    with pytest.raises(Clash, match=f"Merge {second.merge.id} came after"):
        team.undo(first)


def test_a_viewer_decides_nothing(team: Team) -> None:
    ana, _ = ana_and_a(team)
    viewer = Actor("vic", "viewer")

    with pytest.raises(Forbidden):
        dedupe.merge(team.app, team.ws, ana, viewer)
    with pytest.raises(Forbidden):
        dedupe.dismiss(team.app, team.ws, ana, viewer)


def test_a_person_who_was_erased_takes_the_journal_along(team: Team) -> None:
    ana, _ = ana_and_a(team)
    done = team.merge(ana, survivor_id=ana)

    edit.erase_contact(team.app, team.ws, team.contact(ana).id, MANAGER)

    with pytest.raises(UserError, match="erased"):
        team.undo(done)
    team.check()


# --- judging ------------------------------------------------------------------------------------------------------


def test_a_dismissed_group_stays_away_until_new_evidence_comes(team: Team) -> None:
    ana, a = ana_and_a(team)
    team.dismiss(ana)
    assert team.groups() == {}

    team.edit(a, phone="0044 7911 123456")
    assert team.groups() == {}
    team.edit(a, email="ana@example.org")

    found = dedupe.group(team.app, team.ws, ana)
    assert [(pair.a, pair.b, pair.by, pair.shares) for pair in found.different] == [
        (ana, a, MANAGER.name, ("ana@example.org",))
    ]


def test_pairs_told_apart_follow_a_contact_into_its_survivor(team: Team) -> None:
    ana, a = ana_and_a(team)
    other = team.add(first_name="Zoe", phone=PHONE)
    team.dismiss(ana, (a, other))
    team.dismiss(ana, (ana, other))

    team.merge([ana, a], survivor_id=ana)

    assert team.groups() == {}
    team.check()


def test_a_shared_value_joins_nobody_until_it_is_taken_off(team: Team) -> None:
    ana, a = ana_and_a(team)

    shared = dedupe.share(team.app, team.ws, "phone", "07911 123456", MANAGER, "office line")
    assert team.groups() == {}
    assert shared.id is not None
    dedupe.unshare(team.app, team.ws, shared.id, MANAGER)

    assert team.groups() == {ana: (ana, a)}
    with pytest.raises(UserError, match="not a phone number"):
        dedupe.share(team.app, team.ws, "phone", "nonsense", MANAGER)
    with pytest.raises(NotFound):
        dedupe.unshare(team.app, team.ws, shared.id, MANAGER)


def test_a_value_with_too_many_holders_is_listed_and_joins_nobody(team: Team) -> None:
    cap = CAPS[KeyKind.EMAIL]
    ids = [team.add(first_name=f"P{n}", email="office@example.org") for n in range(cap)]
    assert team.groups() == {ids[0]: tuple(ids)}

    team.add(first_name="One more", email="office@example.org")

    assert team.groups() == {}
    assert [(one.value, one.holders, one.id) for one in dedupe.shared_values(team.app, team.ws)] == [
        ("office@example.org", cap + 1, None)
    ]


def test_possible_pairs_are_listed_apart_and_can_be_dismissed(team: Team) -> None:
    plain = team.add(first_name="Ana", phone="+44 20 7946 0018")
    extension = team.add(first_name="Ann", phone="+44 20 7946 0018 ext 5")
    dots = team.add(first_name="Bo", email="b.o@gmail.com")
    tag = team.add(first_name="Bob", email="bo+x@gmail.com")

    found, _ = dedupe.possible_pairs(team.app, team.ws)

    assert [(one.kind, tuple(c.id for c in one.members)) for one in found] == [
        ("phone_variant", (plain, extension)),
        ("email_canonical", (dots, tag)),
    ]
    assert team.groups() == {}
    dedupe.dismiss_pair(team.app, team.ws, dots, tag, MANAGER)
    assert len(dedupe.possible_pairs(team.app, team.ws)[0]) == 1


# --- the check at night -----------------------------------------------------------------------------------------------


def test_the_nightly_check_finds_and_mends_what_is_wrong(team: Team) -> None:
    ana, a = ana_and_a(team)
    assert dedupe.nightly_check(team.app, team.ws) == 0
    with team.app.db.write(team.ws) as tx:
        match_keys.write(tx, "DELETE FROM dup_member WHERE workspace_id = ? AND contact_id = ?", [(team.ws, a)])

    with capture_logs() as logged:
        assert dedupe.nightly_check(team.app, team.ws) == 1

    assert team.groups() == {ana: (ana, a)}
    assert logged == [{"event": "duplicates.mended", "log_level": "error", "workspace": team.ws, "groups": 1}]
    with team.app.db.read(team.ws) as tx:
        assert users.audit(tx, limit=1)[0].action == "duplicates.mended"
    assert dedupe.nightly_check(team.app, team.ws) == 0


def test_another_cap_moves_the_groups_at_once(team: Team) -> None:
    ids = [team.add(first_name=f"P{n}", email="office@example.org") for n in range(3)]

    consent_setup.change_workspace(team.app, team.ws, {"email_cap": "2"}, MANAGER)
    assert team.groups() == {}
    assert [one.value for one in dedupe.shared_values(team.app, team.ws)] == ["office@example.org"]
    consent_setup.change_workspace(team.app, team.ws, {"email_cap": "3"}, MANAGER)

    assert team.groups() == {ids[0]: tuple(ids)}
    with pytest.raises(SettingRefused):
        consent_setup.change_workspace(team.app, team.ws, {"phone_cap": "1"}, MANAGER)
