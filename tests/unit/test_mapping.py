"""Mapping: names both ways, what must be asked for, and what a portal's schema still allows."""

from __future__ import annotations

from mercuri.core.contact import Record, RecordId
from mercuri.core.diff import Act, Base, Decision, three_way
from mercuri.core.mapping import (
    active_mapping,
    fields_of,
    kind_of,
    mappable,
    properties_of,
    properties_to_ask,
    rules_for,
    schema_problems,
    suggest_mapping,
    with_types,
)
from mercuri.core.properties import Option, Property
from mercuri.core.settings import ConsentItem, Direction, MappingItem, Policy, PortalSettings

CITY = MappingItem("city", "custom.city", type="string")
SCORE = MappingItem("score", "custom.score", Direction.IN, Policy.MERCURI, "number")


def a_property(
    name: str, type_: str = "string", *, label: str = "", options: tuple[str, ...] = (), **more: bool
) -> Property:
    choices = tuple(Option(value, value) for value in options)
    return Property(name, label or name, type_, options=choices, **more)  # type: ignore[arg-type]  # flags by name


def a_record(**properties: str) -> Record:
    return Record(RecordId("51"), properties)


def test_a_read_names_every_property_once() -> None:
    settings = PortalSettings(
        mapping=(CITY, SCORE),
        consent_mapping=(
            ConsentItem("sms", "opt_in", "sms_ok"),
            ConsentItem("whatsapp", "opt_in", "sms_ok"),
            ConsentItem("email", "date_pair", in_property="joined", out_property="left"),
        ),
    )

    asked = properties_to_ask(settings)

    assert len(asked) == len(set(asked))
    assert {"city", "score", "sms_ok", "joined", "left", "mercuri_contact_id", "hs_merged_object_ids"} <= set(asked)


def test_a_property_that_was_not_asked_for_is_no_empty_field() -> None:
    assert fields_of(a_record(city=""), [CITY, SCORE]) == {"custom.city": ""}


def test_only_fields_that_may_be_written_get_a_property() -> None:
    assert properties_of({"custom.city": "Lyon", "custom.score": "7", "phone": "1"}, [CITY, SCORE]) == {"city": "Lyon"}


def test_a_field_that_is_not_given_is_not_cleared() -> None:
    assert properties_of({}, [CITY]) == {}


def test_each_field_has_the_rule_of_its_item_or_else_the_portals() -> None:
    settings = PortalSettings(mapping=(CITY, SCORE), conflict_policy=Policy.ASK)

    rules = rules_for(settings, settings.mapping, lambda kind, raw: f"{kind}:{raw}")

    assert (rules["custom.city"].policy, rules["custom.score"].policy) == (Policy.ASK, Policy.MERCURI)
    assert rules["custom.score"].direction is Direction.IN
    assert rules["custom.city"].norm("Lyon") == "text:Lyon"
    assert rules["custom.score"].norm("7") == "number:7"


def test_values_are_compared_by_what_they_are() -> None:
    kinds = {
        kind_of(item)
        for item in [
            MappingItem("email", "email", type="string"),
            MappingItem("mobilephone", "phone", type="string"),
            MappingItem("x", "custom.x", type="phone_number"),
            MappingItem("firstname", "first_name", type="string"),
            MappingItem("y", "custom.y"),
            MappingItem("z", "custom.z", type="date"),
        ]
    }

    assert kinds == {"email", "phone", "name", "text", "date"}


def test_types_are_filled_in_from_the_schema_once() -> None:
    properties = [a_property("city", "enumeration"), a_property("score", "string")]

    filled = with_types([MappingItem("city", "custom.city"), SCORE, MappingItem("gone", "custom.gone")], properties)

    assert [item.type for item in filled] == ["enumeration", "number", ""]


def test_a_vanished_archived_or_retyped_property_pauses_its_field() -> None:
    properties = [a_property("city", archived=True), a_property("score", "string"), a_property("job")]
    mapping = [CITY, SCORE, MappingItem("job", "custom.job", type="string"), MappingItem("lost", "custom.lost")]

    problems = schema_problems(mapping, properties)

    assert [(problem.property, problem.what) for problem in problems] == [
        ("city", "gone"),
        ("score", "type"),
        ("lost", "gone"),
    ]
    assert [item.field for item in active_mapping(mapping, properties)] == ["custom.job"]


def test_text_that_became_a_phone_number_is_still_text() -> None:
    assert schema_problems([MappingItem("phone", "phone", type="string")], [a_property("phone", "phone_number")]) == []


def test_a_read_only_property_only_comes_in() -> None:
    properties = [a_property("city", read_only=True), a_property("score", "number", calculated=True)]
    only_out = MappingItem("score", "custom.score", Direction.OUT, type="number")

    active = active_mapping([CITY, only_out], properties)

    assert [(item.field, item.direction) for item in active] == [("custom.city", Direction.IN)]
    assert [problem.what for problem in schema_problems([SCORE], properties)] == []


def test_what_is_typed_here_while_a_property_is_read_only_waits_and_is_not_settled() -> None:
    settings = PortalSettings(mapping=(CITY, SCORE))
    active = active_mapping(settings.mapping, [a_property("city", read_only=True), a_property("score", "number")])
    bases = {"custom.city": Base("Lyon", "Lyon"), "custom.score": Base("7", "7")}

    rules = rules_for(settings, active, lambda _, raw: raw)
    here, there = {"custom.city": "Paris", "custom.score": "8"}, {"custom.city": "Lyon", "custom.score": "7"}
    changes = three_way(bases, here, there, rules)

    assert [name for name, rule in rules.items() if rule.is_locked] == ["custom.city"]
    assert changes.decisions["custom.city"] == Decision(Act.NONE)
    assert changes.bases == {"custom.score": Base("8", "7", "one_way")}


def test_the_default_mapping_is_suggested_as_far_as_the_portal_has_it() -> None:
    suggested = suggest_mapping(
        [a_property("firstname"), a_property("phone", "phone_number"), a_property("email", archived=True)]
    )

    assert [(item.property, item.type) for item in suggested] == [("firstname", "string"), ("phone", "phone_number")]


def test_what_carries_the_sync_or_is_hidden_is_not_offered_as_a_field() -> None:
    properties = [
        a_property("zip", label="Zip"),
        a_property("city", label="City"),
        a_property("hs_object_id"),
        a_property("secret", hidden=True),
        a_property("map", "object_coordinates"),
    ]

    assert [found.name for found in mappable(properties)] == ["city", "zip"]
