"""What becomes of links after merges, deletions and restores."""

from __future__ import annotations

import pytest

from mercuri.core.contact import ContactId, LinkState, RecordId
from mercuri.core.fate import Fate, Followed, after_archive, after_restore, fate_of_deletion, follow_merges, survivor_of
from mercuri.core.settings import Deletions

R9, R51, R52, R99 = RecordId("9"), RecordId("51"), RecordId("52"), RecordId("99")
ANA, BO, CY = ContactId(1), ContactId(2), ContactId(3)


def test_an_id_leads_to_its_survivor_through_a_chain() -> None:
    assert survivor_of(R9, {R9: R51, R51: R99}) == R99
    assert survivor_of(R52, {R9: R51}) == R52


def test_a_circle_of_aliases_does_not_hang() -> None:
    assert survivor_of(R9, {R9: R51, R51: R9}) in (R9, R51)


def test_a_merge_of_an_unlinked_record_moves_the_link_to_the_new_id() -> None:
    assert follow_merges({R51: ANA, R9: BO}, {R51: R99, R52: R99}, {}) == Followed({R51: R99}, {})


def test_of_two_linked_records_the_primarys_link_is_kept_and_the_other_is_marked_merged() -> None:
    links = {R51: ANA, R52: BO}
    aliases = {R51: R99, R52: R99}

    assert follow_merges(links, aliases, {R99: R52}) == Followed({R52: R99}, {R51: BO})


def test_a_portal_that_keeps_the_primarys_id_keeps_its_link_in_place() -> None:
    assert follow_merges({R51: ANA, R52: BO}, {R51: R52}, {}) == Followed({}, {R51: BO})


def test_without_a_known_primary_the_oldest_record_keeps_the_link_in_whatever_order() -> None:
    aliases = {R9: R99, R51: R99, R52: R99}

    assert follow_merges({R52: CY, R51: BO, R9: ANA}, aliases, {}) == Followed({R9: R99}, {R51: ANA, R52: ANA})
    assert follow_merges({R9: ANA, R51: BO, R52: CY}, aliases, {}) == Followed({R9: R99}, {R51: ANA, R52: ANA})


@pytest.mark.parametrize("state", [LinkState.LIVE, LinkState.BLOCKED])
def test_an_archived_record_puts_its_link_to_sleep_and_a_restore_wakes_it(state: LinkState) -> None:
    assert after_archive(state) is LinkState.ASLEEP
    assert after_restore(LinkState.ASLEEP) is LinkState.LIVE


@pytest.mark.parametrize("state", [LinkState.MERGED, LinkState.UNLINKED])
def test_a_link_that_ended_stays_ended(state: LinkState) -> None:
    assert after_archive(state) is state
    assert after_restore(state) is state


def test_a_deletion_follows_the_setting_but_an_edit_on_the_other_side_survives() -> None:
    assert fate_of_deletion(Deletions.KEEP, edited_on_the_other_side=False) is Fate.SLEEP
    assert fate_of_deletion(Deletions.ARCHIVE, edited_on_the_other_side=False) is Fate.ARCHIVE
    assert fate_of_deletion(Deletions.ASK, edited_on_the_other_side=False) is Fate.ASK
    for deletions in Deletions:
        assert fate_of_deletion(deletions, edited_on_the_other_side=True) is Fate.SLEEP
