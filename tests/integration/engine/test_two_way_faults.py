"""Faults that the simulation machine found once, each as the shortest history that showed it."""

from __future__ import annotations

from tests.support.world import World


def test_a_field_that_only_comes_in_takes_a_later_value_though_it_was_filled_here(world: World) -> None:
    email_in = {"property": "email", "field": "email", "direction": "in"}
    name = {"property": "firstname", "field": "first_name", "direction": "both"}
    world.connect(two_way=True, mapping=[email_in, name], conflict_policy="mercuri")
    ana = world.create(first_name="Ana", email="ana@example.com")
    world.sync()
    link = world.link_of(ana)
    assert link is not None

    world.sandbox.update(link.record_id, {"email": "ana@work.example.com"})
    world.sync()

    assert world.contact(ana).fields["email"] == "ana@work.example.com"
