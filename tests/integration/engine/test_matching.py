from __future__ import annotations

from tests.support.world import OWNER, World, adds_up

from mercuri.engine import edit


def test_a_record_with_the_email_of_a_contact_is_that_contact(both: World) -> None:
    ana = both.create(first_name="Ana", email="ana@example.com")
    record = both.sandbox.create({"lastname": "Souza", "email": "ANA@example.com"})

    done = both.sync()

    assert both.of_record(record).id == ana
    assert both.contact(ana).fields["last_name"] == "Souza"
    assert done.counts["created"] == 0
    assert adds_up(done)


def test_an_ambiguous_email_makes_a_contact_of_its_own(world: World) -> None:
    first = world.create(first_name="Ana", email="ana@example.com")
    second = world.create(first_name="Anna", email="ana@example.com")
    record = world.sandbox.create({"firstname": "A", "email": "ana@example.com"})

    world.sync()

    assert world.of_record(record).id not in (first, second)


def test_a_phone_matches_once_all_records_are_in(both: World) -> None:
    both.settings(match_by="email_phone")
    ana = both.create(first_name="Ana", phone="(415) 555-2671")
    both.sandbox.add_contacts(150)
    record = both.sandbox.create({"firstname": "Ana", "phone": "+1 415 555 2671"})

    done = both.sync()

    assert both.of_record(record).id == ana
    assert done.counts["fetched"] == 151
    assert adds_up(done)


def test_a_phone_that_two_records_share_matches_nobody(world: World) -> None:
    world.settings(match_by="email_phone")
    ana = world.create(first_name="Ana", phone="(415) 555-2671")
    records = [world.sandbox.create({"firstname": "Ana", "phone": "+1 415 555 2671"}) for _ in range(2)]

    done = world.sync()

    assert ana not in [world.of_record(record).id for record in records]
    assert done.counts["created"] == 2
    assert adds_up(done)


def test_names_that_contradict_are_not_matched_by_phone(world: World) -> None:
    world.settings(match_by="email_phone")
    ana = world.create(first_name="Ana", last_name="Souza", phone="(415) 555-2671")
    record = world.sandbox.create({"firstname": "Bo", "lastname": "Berg", "phone": "+1 415 555 2671"})

    world.sync()

    assert world.of_record(record).id != ana


def test_matching_can_be_switched_off(world: World) -> None:
    world.settings(match_by="none", two_way=False)
    ana = world.create(email="ana@example.com")
    record = world.sandbox.create({"email": "ana@example.com"})

    world.sync()

    assert world.of_record(record).id != ana


def test_an_email_changed_in_hubspot_makes_no_second_person(world: World) -> None:
    record = world.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
    world.sync()
    ana = world.of_record(record).id

    world.sandbox.update(record, {"email": "ana.souza@example.com"})
    world.sync()

    assert set(world.contacts()) == {ana}
    assert world.contact(ana).fields["email"] == "ana.souza@example.com"


def test_an_erased_person_is_not_imported_again(both: World) -> None:
    record = both.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
    both.settings(two_way=False)
    both.sync()
    edit.erase_contact(both.app, both.ws, both.of_record(record).id, OWNER)
    both.sync()

    both.sandbox.create({"firstname": "Ana", "email": "ana@example.com"})
    done = both.sync(full=True)

    assert not both.contacts()
    assert done.counts["excluded"] == 1
    assert adds_up(done)
