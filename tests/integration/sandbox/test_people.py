"""The invented people: a list as messy as a real one, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from random import Random

from tests.support.clock import Clock

from mercuri.sandbox import Sandbox
from mercuri.sandbox.people import people


def test_the_same_seed_gives_the_same_portal(clock: Clock) -> None:
    one, same, other = (Sandbox(contacts=50, seed=seed, now=clock.now) for seed in (1, 1, 2))

    assert [one.contact(each) for each in one.contact_ids()] == [same.contact(each) for each in same.contact_ids()]
    assert one.contact_ids() != other.contact_ids()


def test_no_email_is_given_twice_not_even_over_several_calls(clock: Clock) -> None:
    sandbox = Sandbox(contacts=2000, now=clock.now)
    sandbox.add_contacts(2000)

    values = [sandbox.contact(each) or {} for each in sandbox.contact_ids()]
    addresses = [email for each in values for email in (each.get("email"), each.get("hs_additional_emails")) if email]

    assert len(values) == 4000
    assert len(addresses) == len(set(addresses))


def test_the_list_has_what_makes_real_lists_hard() -> None:
    crowd = list(people(Random(0), 3000, 0))

    phones = Counter(each["phone"] for each in crowd if "phone" in each)
    assert any("email" not in each for each in crowd)
    assert any("phone" not in each for each in crowd)
    assert any("hs_additional_emails" in each for each in crowd)
    assert phones.most_common(1)[0][1] > 1
    assert any(not each["firstname"].isascii() for each in crowd)
    assert {each.get("sms_opt_in") for each in crowd} == {"true", "false", None}
    assert {each.get("sms_consent") for each in crowd} == {"Yes", "No", "not_asked", None}
    assert all(each["email"].rpartition(".")[2] in ("com", "org", "net") for each in crowd if "email" in each)


def test_contacts_added_later_are_new_today(clock: Clock) -> None:
    sandbox = Sandbox(contacts=10, now=clock.now)
    before = set(sandbox.contact_ids())
    clock.advance(60)

    sandbox.add_contacts(5)

    added = [sandbox.contact(each) or {} for each in set(sandbox.contact_ids()) - before]
    assert {each["lastmodifieddate"] for each in added} == {"2026-03-09T09:01:00Z"}
