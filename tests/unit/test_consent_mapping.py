"""Which properties may speak of consent, and what is wrong with those that are mapped."""

from __future__ import annotations

import pytest

from mercuri.core.consent_mapping import checked, consent_offers, consent_problems, names_unknown_option
from mercuri.core.properties import Option, Property
from mercuri.core.settings import ConsentItem, SettingRefused

STATUS = ConsentItem("sms", "enumeration", "status", {"Yes": "in", "No": "out"})


def a_property(
    name: str, type_: str = "string", *, label: str = "", options: tuple[str, ...] = (), **more: bool
) -> Property:
    choices = tuple(Option(value, value) for value in options)
    return Property(name, label or name, type_, options=choices, **more)  # type: ignore[arg-type]  # flags by name


def test_consent_is_offered_by_name_or_label_with_the_clearest_kind_first() -> None:
    properties = [
        a_property("status", "enumeration", label="SMS status", options=("Yes", "No")),
        a_property("sakari_opted_in", "datetime"),
        a_property("sakari_opted_out", "datetime"),
        a_property("no_sms", "bool", label="Opt-out of texts"),
        a_property("wa", "bool", label="WhatsApp consent"),
        a_property("city"),
        a_property("note", label="Consent note"),
        a_property("hs_email_optout", "bool", hubspot_defined=True),
        a_property("hs_marketable_status", "enumeration", hubspot_defined=True),
        a_property("hs_sms_promo", "bool", hubspot_defined=True),
    ]

    offers = consent_offers(properties)

    assert [(offer.property.name, offer.item.kind, offer.item.channel) for offer in offers if offer.item] == [
        ("wa", "opt_in", "whatsapp"),
        ("hs_email_optout", "opt_out", "email"),
        ("no_sms", "opt_out", "sms"),
        ("status", "enumeration", "sms"),
        ("sakari_opted_in", "date_pair", "sms"),
    ]
    assert [offer.property.name for offer in offers if offer.refusal] == ["hs_marketable_status"]


def test_what_an_option_means_is_never_guessed() -> None:
    [offer] = consent_offers([a_property("status", "enumeration", label="SMS status", options=("Yes", "No"))])

    assert offer.item is not None
    assert offer.item.values == {}


def test_a_consent_property_that_vanished_or_changed_is_named() -> None:
    mapping = [
        ConsentItem("sms", "opt_in", "gone"),
        ConsentItem("sms", "opt_out", "text"),
        ConsentItem("sms", "enumeration", "status", {"Yes": "in", "Never": "out"}),
        ConsentItem("email", "opt_out", "hs_email_optout"),
        ConsentItem("sms", "opt_in", "fine"),
    ]
    properties = [
        a_property("text"),
        a_property("status", "enumeration", options=("Yes", "No")),
        a_property("hs_email_optout", "bool", read_only=True),
        a_property("fine", "bool"),
    ]

    problems = consent_problems(mapping, properties)

    assert [(problem.property, problem.what) for problem in problems] == [
        ("gone", "gone"),
        ("text", "type"),
        ("status", "option"),
        ("hs_email_optout", "read_only"),
    ]
    assert "'Never'" in problems[2].sentence


def test_an_option_that_came_after_the_mapping_is_named_once_the_options_of_then_are_known() -> None:
    then = a_property("status", "enumeration", options=("Yes", "No", "Not asked"))
    now = a_property("status", "enumeration", options=("Yes", "No", "Not asked", "Stop all"))

    [saved] = checked([STATUS], [], [then])

    assert saved.options == ("Yes", "No", "Not asked")
    assert consent_problems([saved], [then]) == []
    assert [(p.what, "'Stop all'" in p.sentence) for p in consent_problems([saved], [now])] == [("new_option", True)]
    assert consent_problems([STATUS], [now]) == []


def test_an_option_that_was_lost_is_told_from_one_that_never_was_there() -> None:
    then = a_property("status", "enumeration", options=("Yes", "No"))
    now = a_property("status", "enumeration", options=("Yes", "Never"))
    [saved] = checked([STATUS], [], [then])

    [lost, _] = consent_problems([saved], [now])

    assert lost.sentence.startswith("status no longer has the option 'No'")
    with pytest.raises(SettingRefused, match="status has no option 'No'"):
        checked([STATUS], [], [now])


def test_only_a_new_meaning_of_an_option_that_is_not_known_makes_the_schema_look_old() -> None:
    known = [a_property("status", "enumeration", options=("Yes",))]

    assert names_unknown_option([STATUS], [], known)
    assert not names_unknown_option([STATUS], [STATUS], known)
    assert not names_unknown_option([STATUS], [], [a_property("status", "enumeration", options=("Yes", "No"))])


def test_saving_the_same_mapping_again_does_not_hide_a_new_option() -> None:
    then = a_property("status", "enumeration", options=("Yes", "No"))
    now = a_property("status", "enumeration", options=("Yes", "No", "Stop all"))
    [saved] = checked([STATUS], [], [then])

    [again] = checked([STATUS], [saved], [now])

    assert again == saved


def test_a_list_of_other_options_than_true_and_false_is_no_flag() -> None:
    item = ConsentItem("sms", "opt_in", "status")

    with pytest.raises(SettingRefused, match="a list of options"):
        checked([item], [], [a_property("status", "enumeration", options=("Yes", "No"))])

    assert checked([item], [], [a_property("status", "enumeration", options=("true", "false"))]) == (item,)


def test_a_mapping_whose_property_has_gone_can_be_saved_beside_a_new_one_but_not_made() -> None:
    gone, fine = ConsentItem("sms", "opt_in", "gone"), ConsentItem("sms", "opt_in", "fine")
    schema = [a_property("fine", "bool")]

    assert checked([gone, fine], [gone], schema) == (gone, fine)
    with pytest.raises(SettingRefused, match="no property gone"):
        checked([gone], [], schema)
