"""What becomes of the records that are here already when another property is mapped."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from tests.support.fuse import PowerCut
from tests.support.sandbox import SandboxTransport
from tests.support.world import OWNER, PORTAL, World

from mercuri.core.contact import RecordId
from mercuri.core.settings import PortalSettings
from mercuri.engine import hints, run, schema
from mercuri.sandbox import Sandbox
from mercuri.store import outbox, portals, runs

STANDARD = [
    {"property": "firstname", "field": "first_name"},
    {"property": "lastname", "field": "last_name"},
    {"property": "email", "field": "email"},
    {"property": "phone", "field": "phone"},
]


def test_a_property_that_is_mapped_later_is_read_of_every_record(world: World) -> None:
    world.connect()
    record = world.sandbox.create({"email": "ana@example.com", "city": "Lyon"})
    world.sync()

    world.settings(mapping=[*STANDARD, {"property": "city", "field": "custom.city"}])
    done = world.sync()

    assert done.counts["updated"] == 1
    assert world.of_record(record).fields["custom.city"] == "Lyon"
    assert world.sync().kind == "incremental"


def test_a_property_that_moves_to_another_field_fills_it_for_every_record(world: World) -> None:
    world.connect(mapping=[*STANDARD, {"property": "city", "field": "custom.city"}])
    record = world.sandbox.create({"email": "ana@example.com", "city": "Lyon"})
    world.sync()

    world.settings(mapping=[*STANDARD, {"property": "city", "field": "custom.town"}])
    world.sync()

    assert world.of_record(record).fields["custom.town"] == "Lyon"


def test_a_property_made_in_hubspot_a_moment_ago_can_be_mapped_with_its_type(world: World) -> None:
    world.connect()
    world.sync()
    world.sandbox.add_property(
        {
            "name": "shoe_size",
            "label": "Shoe size",
            "type": "number",
            "fieldType": "number",
            "groupName": "contactinformation",
        }
    )
    record = world.sandbox.create({"email": "ana@example.com", "shoe_size": "41"})

    world.settings(mapping=[*STANDARD, {"property": "shoe_size", "field": "custom.shoe_size"}])
    world.sync()

    assert world.of_record(record).fields["custom.shoe_size"] == "41"


def test_a_mapped_property_that_hubspot_does_not_have_costs_no_full_run(world: World) -> None:
    world.connect()
    world.sync()

    world.settings(mapping=[*STANDARD, {"property": "nowhere", "field": "custom.nowhere"}])

    assert world.sync().kind == "incremental"


CITY = {"property": "city", "field": "custom.city"}
SPEAKS = {"property": "sms_opt_in", "channel": "sms", "kind": "opt_in"}


@pytest.mark.parametrize(
    ("mapped", "unmapped"),
    [
        ({"mapping": [*STANDARD, CITY]}, {"mapping": STANDARD}),
        ({"consent_mapping": [SPEAKS]}, {"consent_mapping": []}),
    ],
)
def test_a_property_that_was_unmapped_before_it_was_read_costs_no_full_run(
    world: World, mapped: dict[str, object], unmapped: dict[str, object]
) -> None:
    world.connect()
    world.sync()

    world.settings(**mapped)
    world.settings(**unmapped)

    assert world.sync().kind == "incremental"


def test_a_property_that_was_unmapped_before_it_was_read_by_an_earlier_version_costs_one_full_run(
    world: World,
) -> None:
    world.connect()
    world.sync()
    _waits_for(world, "city")

    assert [world.sync().kind, world.sync().kind] == ["full", "incremental"]


def test_a_property_that_vanished_before_it_was_read_costs_one_full_run_and_is_read_once_it_is_back(
    world: World,
) -> None:
    world.connect()
    points = {"name": "points", "label": "Points", "type": "number", "fieldType": "number"}
    world.sandbox.add_property({**points, "groupName": "contactinformation"})
    record = world.sandbox.create({"email": "ana@example.com", "points": "4"})
    world.sync()
    world.settings(mapping=[*STANDARD, {"property": "points", "field": "custom.points"}])
    world.sandbox.archive_property("points")

    assert [world.sync().kind, world.sync().kind] == ["full", "incremental"]
    world.sandbox.add_property({**points, "groupName": "contactinformation"})
    world.sandbox.update(record, {"points": "5"})
    world.clock.advance(3700)
    world.sync()
    world.sync()

    assert world.of_record(record).fields["custom.points"] == "5"


def test_a_property_that_is_mapped_while_another_one_is_read_is_read_by_the_next_run(world: World) -> None:
    world.connect()
    record = world.sandbox.create({"email": "ana@example.com", "city": "Lyon", "jobtitle": "Cook"})
    world.sync()
    both = [*STANDARD, CITY, {"property": "jobtitle", "field": "custom.job"}]
    world.settings(mapping=[*STANDARD, CITY])
    asked = world.ask()

    def meanwhile(_: object) -> None:
        world.settings(mapping=both)

    run.execute(world.app, world.ws, asked.id, owner="worker", progress=meanwhile)

    assert world.sync().kind == "full"
    assert world.of_record(record).fields["custom.job"] == "Cook"
    assert world.sync().kind == "incremental"


def _waits_for(world: World, name: str) -> None:
    with world.app.db.write(world.ws) as tx:
        reading = portals.get(tx, PORTAL).reading
        portals.save(tx, PORTAL, reading={**reading, "reread": [name]})


def test_a_property_that_vanishes_erases_nothing_here(world: World) -> None:
    world.sandbox.add_property(
        {
            "name": "points",
            "label": "Points",
            "type": "number",
            "fieldType": "number",
            "groupName": "contactinformation",
        }
    )
    world.connect(mapping=[*STANDARD, {"property": "points", "field": "custom.points"}], two_way=True, blanks="erase")
    record = world.sandbox.create({"email": "ana@example.com", "points": "4"})
    world.sync()

    world.sandbox.archive_property("points")
    world.sandbox.update(record, {"firstname": "Ana"})
    world.sync()
    world.sync(full=True)

    assert world.of_record(record).fields["custom.points"] == "4"
    assert world.of_record(record).fields["first_name"] == "Ana"


def _looked_at(world: World, record: str) -> None:
    """A run that looks at one record, and reads no changes."""
    world.clock.advance(120)
    with world.app.db.write(world.ws) as tx:
        outbox.note_look(tx, PORTAL, RecordId(record), world.app.now())
    hints.look(world.app, world.ws)
    with world.app.db.read(world.ws) as tx:
        asked = runs.live(tx, PORTAL)
    assert asked is not None
    world.go(asked)


@pytest.mark.parametrize("met_by", ["increment", "push", "hint"])
def test_a_value_cleared_here_stays_cleared_when_its_property_vanishes_and_comes_back(
    world: World, met_by: str
) -> None:
    points = {"name": "points", "label": "Points", "type": "number", "fieldType": "number"}
    world.sandbox.add_property({**points, "groupName": "contactinformation"})
    world.connect(mapping=[*STANDARD, {"property": "points", "field": "custom.points"}], two_way=True)
    record = world.sandbox.create({"email": "ana@example.com", "points": "4"})
    world.sync()
    for _ in range(3 if met_by != "increment" else 0):
        # HubSpot touches a new record a few times, and an hour later the same changes are looked at once more.
        world.clock.advance(3700)
        world.sync()

    world.edit(world.of_record(record).id, **{"custom.points": ""})
    world.sandbox.archive_property("points")
    if met_by == "hint":
        _looked_at(world, record)
    else:
        world.sync()
    world.sandbox.add_property({**points, "groupName": "contactinformation"})
    world.sync()
    world.sync(full=True)

    assert world.record(record)["points"] == "4"
    assert world.of_record(record).fields.get("custom.points", "") == ""


def test_a_property_that_comes_back_brings_what_was_missed_meanwhile(world: World) -> None:
    points = {"name": "points", "label": "Points", "type": "number", "fieldType": "number"}
    world.sandbox.add_property({**points, "groupName": "contactinformation"})
    world.connect(mapping=[*STANDARD, {"property": "points", "field": "custom.points"}], two_way=True)
    world.sync()
    world.sandbox.add_property({**points, "type": "string", "fieldType": "text"})
    record = world.sandbox.create({"email": "ana@example.com", "points": "4"})
    world.clock.advance(4000)
    world.sync()
    paused = world.of_record(record).fields.get("custom.points", "")

    world.sandbox.add_property(points)
    world.clock.advance(4000)
    world.sync()
    world.sync()

    assert paused == ""
    assert world.of_record(record).fields["custom.points"] == "4"


def test_a_value_that_could_not_be_created_there_arrives_once_its_property_takes_values_again(world: World) -> None:
    world.connect(mapping=STANDARD, two_way=True)
    properties = world.sandbox.portal.properties
    first_name = properties["firstname"]
    world.sandbox.portal.set_property(replace(first_name, read_only=True))
    ana = world.create(first_name="Ana", email="ana@example.com")
    world.sync()
    link = world.link_of(ana)
    assert link is not None
    without = world.record(link.record_id)

    world.sandbox.portal.set_property(first_name)
    world.clock.advance(4000)
    world.sync()
    world.sync()

    assert "firstname" not in without
    assert world.record(link.record_id)["firstname"] == "Ana"


def test_a_newly_mapped_property_comes_with_a_preview_that_is_applied(world: World) -> None:
    record = world.sandbox.create({"email": "ana@example.com", "city": "Lyon"})
    world.sync()
    world.settings(mapping=[*STANDARD, {"property": "city", "field": "custom.city"}])

    shown = world.sync(preview=True)
    before = world.of_record(record).fields
    world.go(run.apply(world.app, world.ws, shown.id, OWNER, "button"))

    assert shown.plan["here"] == 1
    assert "custom.city" not in before
    assert world.of_record(record).fields["custom.city"] == "Lyon"


def test_a_value_cleared_here_stays_cleared_though_its_property_vanished_after_an_unanswered_create(
    world: World,
) -> None:
    points = {"name": "points", "label": "Points", "type": "number", "fieldType": "number"}
    world.sandbox.add_property({**points, "groupName": "contactinformation"})
    mapping = [*STANDARD, {"property": "points", "field": "custom.points"}]
    world.connect(mapping=mapping, two_way=True, conflict_policy="hubspot")
    world.sync()
    ana = world.create(**{"email": "ana@example.com", "custom.points": "4"})
    world.sandbox.fault("lost_reply_after", match="batch/upsert")
    world.sync()
    world.sandbox.archive_property("points")
    world.edit(ana, **{"custom.points": ""})
    world.sync()

    world.sandbox.add_property({**points, "groupName": "contactinformation"})
    world.sync()
    world.sync(full=True)

    link = world.link_of(ana)
    assert link is not None
    assert world.record(link.record_id)["points"] == "4"
    assert world.contact(ana).fields.get("custom.points", "") == ""


def test_an_empty_schema_pauses_no_field() -> None:
    settings = PortalSettings()

    assert schema.carried(settings, (), "US").mapping == settings.mapping != ()


class _CutAfter(httpx.BaseTransport):
    """HubSpot gets a request, and the power goes before its answer comes."""

    def __init__(self, sandbox: Sandbox, path: str) -> None:
        self._transport, self._path = SandboxTransport(sandbox), path

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._transport.handle_request(request)
        if self._path in request.url.path:
            raise PowerCut
        return response


def test_an_edit_made_after_an_unanswered_write_is_sent_once_its_property_takes_values_again(world: World) -> None:
    world.connect(mapping=[{**STANDARD[0], "direction": "out"}, *STANDARD[1:]], two_way=True)
    ana = world.create(first_name="Ana", email="ana@example.com")
    world.sync()
    world.edit(ana, first_name="Anna")
    asked = world.ask()
    http = httpx.Client(transport=_CutAfter(world.sandbox, "batch/update"))
    with pytest.raises(PowerCut):
        run.execute(replace(world.app, http=http), world.ws, asked.id, owner="worker")
    firstname = world.sandbox.portal.properties["firstname"]
    world.sandbox.portal.set_property(replace(firstname, read_only=True))
    world.edit(ana, first_name="Annie")
    world.clock.advance(3700)
    world.go(asked)

    world.sandbox.portal.set_property(firstname)
    world.clock.advance(3700)
    world.sync()
    world.sync()

    link = world.link_of(ana)
    assert link is not None
    assert world.record(link.record_id)["firstname"] == "Annie"
