from __future__ import annotations

from tests.support.world import World, adds_up

from mercuri.core.contact import ContactId


def a_pair(world: World, **properties: str) -> tuple[str, int]:
    """A record and the contact that it became."""
    record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com", **properties})
    world.sync()
    return record, world.of_record(record).id


def test_an_edit_in_hubspot_comes_here(both: World) -> None:
    record, ana = a_pair(both, phone="+14155552671")
    both.sandbox.update(record, {"firstname": "Anna"})

    done = both.sync()

    assert both.contact(ana).fields["first_name"] == "Anna"
    assert done.counts["updated"] == 1
    assert adds_up(done)
    [change] = both.changes(done)
    assert (change.before, change.after, change.side) == ("Ana", "Anna", "mercuri")


def test_an_edit_here_goes_to_hubspot(both: World) -> None:
    record, ana = a_pair(both)
    both.edit(ana, first_name="Anna")

    done = both.sync()

    assert both.record(record)["firstname"] == "Anna"
    assert done.counts["pushed_updated"] == 1
    assert not both.failures()


def test_our_own_write_does_not_come_back(world: World) -> None:
    record, ana = a_pair(world)
    world.edit(ana, first_name="Anna")
    world.sync()

    again = world.sync()

    assert again.counts["updated"] == again.counts["pushed_updated"] == 0
    assert world.record(record)["firstname"] == "Anna"


def test_a_new_contact_is_created_in_hubspot_once(both: World) -> None:
    bo = both.create(first_name="Bo", email="bo@example.com")
    both.sync()

    both.sync()
    both.sync(full=True)

    link = both.link_of(bo)
    assert link is not None
    assert both.record(link.record_id)["firstname"] == "Bo"
    assert both.sandbox.contact_ids() == [link.record_id]
    assert len(both.contacts()) == 1


def test_a_contact_with_the_email_of_a_record_is_linked_and_not_created(world: World) -> None:
    world.sync()
    record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
    ana = world.create(last_name="Souza", email="Ana@Example.com")

    world.sync()

    assert world.of_record(record).id == ana
    assert world.contact(ana).fields["first_name"] == "Ana"
    assert world.record(record)["lastname"] == "Souza"
    assert len(world.sandbox.contact_ids()) == 1


def test_two_new_contacts_with_one_email_do_not_fight_over_one_record(world: World) -> None:
    world.sync()
    first = world.create(first_name="Bo", email="bo@example.com")
    second = world.create(first_name="Beau", email="bo@example.com")

    world.sync()
    world.sync()

    assert world.link_of(first) is not None
    assert world.link_of(second) is None
    assert [failure.kind for failure in world.failures()] == ["duplicate_key"]
    assert len(world.sandbox.contact_ids()) == 1


def test_with_two_way_off_nothing_is_written_and_no_contact_changes(world: World) -> None:
    record, ana = a_pair(world)
    world.settings(two_way=False)
    world.sandbox.update(record, {"firstname": "Anna"})
    world.edit(ana, last_name="Souza")
    world.create(first_name="Bo")
    world.sandbox.reset_counts()

    done = world.sync()

    assert world.contact(ana).fields["first_name"] == "Ana"
    assert world.sandbox.counts()["write"] == 0
    assert done.counts["unchanged"] == 1


def test_turning_two_way_on_compares_everything_since(world: World) -> None:
    record, ana = a_pair(world)
    world.settings(two_way=False)
    world.sandbox.update(record, {"firstname": "Anna"})
    world.edit(ana, last_name="Souza")
    world.sync()
    world.clock.advance(7200)

    world.settings(two_way=True)
    world.sync()

    assert world.contact(ana).fields["first_name"] == "Anna"
    assert world.record(record)["lastname"] == "Souza"


def test_hubspot_wins_a_conflict_and_the_loser_is_kept(world: World) -> None:
    record, ana = a_pair(world)
    world.edit(ana, first_name="Annie")
    world.sandbox.update(record, {"firstname": "Anna"})

    done = world.sync()

    assert world.contact(ana).fields["first_name"] == world.record(record)["firstname"] == "Anna"
    assert done.counts["conflicts"] == 1


def test_a_blank_there_does_not_erase_here(world: World) -> None:
    record, ana = a_pair(world, phone="+14155552671")
    world.sandbox.update(record, {"phone": ""})

    world.sync()
    again = world.sync()

    assert world.contact(ana).fields["phone"] == "+14155552671"
    assert again.counts["pushed_updated"] == 0


def test_a_value_that_hubspot_refuses_does_not_hold_back_the_others(world: World) -> None:
    record, ana = a_pair(world)
    world.edit(ana, first_name="Anna", email="not an e-mail")

    done = world.sync()

    assert world.record(record)["firstname"] == "Anna"
    assert [failure.kind for failure in world.failures()] == ["validation"]
    assert done.counts["failing"] == 1
    assert adds_up(done)


def test_an_edit_made_there_while_two_way_was_off_arrives_when_it_is_on(world: World) -> None:
    record, ana = a_pair(world)
    world.settings(two_way=False)
    world.sandbox.update(record, {"firstname": "Anna"})
    world.sync()
    world.clock.advance(7200)
    world.sync()

    world.settings(two_way=True)
    done = world.sync()

    assert world.contact(ana).fields["first_name"] == "Anna"
    assert done.counts["updated"] == 1
    assert adds_up(done)


def emails(world: World, contact: ContactId) -> set[str | None]:
    return {a.normal for a in world.contact(contact).addresses if a.kind == "email"}


def test_a_further_email_of_a_record_becomes_an_address_and_goes_with_it(both: World) -> None:
    both.sandbox.switch(additional_emails="writable")
    record, _ = a_pair(both)
    ana = both.of_record(record).id

    both.sandbox.update(record, {"hs_additional_emails": "souza@example.org"})
    both.sync(preview=True)
    before = emails(both, ana)
    both.sync()
    during = emails(both, ana)
    both.sandbox.update(record, {"hs_additional_emails": ""})
    both.sync()

    assert before == emails(both, ana) == {"ana@example.com"}
    assert during == {"ana@example.com", "souza@example.org"}


def test_a_further_email_of_a_record_shows_a_duplicate(world: World) -> None:
    world.sandbox.switch(additional_emails="writable")
    record, _ = a_pair(world, lastname="Souza")
    other = world.create(first_name="Ana", last_name="Souza", email="ana.souza@example.net")
    assert world.contact(other).duplicate_group is None

    world.sandbox.update(record, {"hs_additional_emails": "ana.souza@example.net"})
    world.sync()

    assert world.contact(other).duplicate_group == world.of_record(record).duplicate_group is not None
