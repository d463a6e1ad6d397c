"""Settings: what can be meant is read, what cannot is refused with a sentence."""

from __future__ import annotations

import json

import pytest

from mercuri.core.settings import (
    DEFAULT_MAPPING,
    DEFAULTS,
    PORTAL_KEYS,
    Blanks,
    ConsentItem,
    Deletions,
    Direction,
    MappingItem,
    MatchBy,
    Policy,
    PortalSettings,
    SettingRefused,
    WorkspaceSettings,
    from_document,
    from_json,
    to_document,
    to_json,
    with_json,
    with_workspace_json,
)


def refusal(key: str, value: object) -> str:
    with pytest.raises(SettingRefused) as caught:
        from_json(key, json.dumps(value))
    return caught.value.message


def consent(**item: object) -> dict[str, object]:
    return {"property": "sms_ok", "channel": "sms", "kind": "opt_in", **item}


def test_the_defaults_are_careful() -> None:
    expected = PortalSettings(
        two_way=False,
        mapping=DEFAULT_MAPPING,
        consent_mapping=(),
        schedule="off",
        conflict_policy=Policy.HUBSPOT,
        blanks=Blanks.KEEP,
        match_by=MatchBy.EMAIL,
        deletions=Deletions.KEEP,
        delete_brake=2,
        burst_share=90,
        hold_hours=24,
    )

    assert expected == DEFAULTS
    assert [item.field for item in DEFAULT_MAPPING] == ["first_name", "last_name", "email", "phone"]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("two_way", "true", True),
        ("conflict_policy", "recent", Policy.RECENT),
        ("conflict_policy", '"recent"', Policy.RECENT),
        ("blanks", "ask", Blanks.ASK),
        ("match_by", "email_phone", MatchBy.EMAIL_PHONE),
        ("deletions", "archive", Deletions.ARCHIVE),
        ("delete_brake", "0.5", 0.5),
        ("burst_share", "50", 50),
        ("schedule", "every  15m", "every 15m"),
        ("schedule", "0 6 * * 1-5", "0 6 * * 1-5"),
        ("default_region", "fr", "FR"),
        ("status_channel", "whatsapp", "whatsapp"),
        ("mapping", "[]", ()),
    ],
)
def test_a_setting_is_read_from_a_bare_word_or_json(key: str, text: str, value: object) -> None:
    assert from_json(key, text) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("two_way", "yes"),
        ("two_way", "1"),
        ("conflict_policy", "latest"),
        ("delete_brake", "101"),
        ("delete_brake", "-1"),
        ("delete_brake", "true"),
        ("delete_brake", "NaN"),
        ("burst_share", "0"),
        ("burst_share", "90.5"),
        ("default_region", "XX"),
        ("status_channel", "fax"),
        ("mapping", "firstname=first_name"),
        ("mapping", "{}"),
        ("mapping", '["firstname"]'),
        ("colour", "blue"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(key: str, text: str) -> None:
    with pytest.raises(SettingRefused, match=r"Nothing was saved|There is no setting 'colour'"):
        from_json(key, text)


def test_all_settings_survive_a_round_trip() -> None:
    settings = PortalSettings(
        two_way=True,
        mapping=(MappingItem("city", "custom.city", Direction.IN, Policy.ASK, "string"),),
        consent_mapping=(
            ConsentItem("sms", "enumeration", "sms_status", {"Yes": "in", "No": "out"}),
            ConsentItem("email", "date_pair", in_property="joined", out_property="left"),
            ConsentItem("whatsapp", "opt_in", "wa_ok", false_says_nothing=True),
        ),
        schedule="every 1h",
        conflict_policy=Policy.MERCURI,
        blanks=Blanks.ERASE,
        match_by=MatchBy.NONE,
        deletions=Deletions.ASK,
        delete_brake=10,
        burst_share=40,
        hold_hours=0,
    )

    document = json.loads(json.dumps(to_document(settings)))

    assert from_document(document) == settings
    for key in PORTAL_KEYS:
        assert from_json(key, to_json(settings, key)) == getattr(settings, key)


def test_a_document_changes_only_the_keys_it_holds() -> None:
    before = PortalSettings(blanks=Blanks.ERASE)

    after = from_document({"two_way": True}, onto=before)

    assert after == PortalSettings(two_way=True, blanks=Blanks.ERASE)


def test_a_document_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(SettingRefused, match="'twoway'"):
        from_document({"twoway": True})


def test_a_key_of_the_workspace_is_no_key_of_a_portal() -> None:
    with pytest.raises(SettingRefused):
        with_json(DEFAULTS, "default_region", "FR")
    with pytest.raises(SettingRefused):
        with_workspace_json(WorkspaceSettings(), "two_way", "true")
    assert with_workspace_json(WorkspaceSettings(), "default_region", "FR").default_region == "FR"


def test_a_mapping_item_needs_only_its_two_names() -> None:
    read = from_json("mapping", '[{"property": "city", "field": "custom.city"}]')

    assert read == (MappingItem("city", "custom.city", Direction.BOTH, None, ""),)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([{"property": "a", "field": "phone"}, {"property": "b", "field": "phone"}], "phone is mapped twice"),
        ([{"property": "a", "field": "phone"}, {"property": "a", "field": "email"}], "property a is mapped twice"),
        ([{"property": "a", "field": "city"}], "custom.<name>"),
        ([{"property": "a", "field": "custom.City Name"}], "custom.<name>"),
        ([{"property": "", "field": "phone"}], "internal name"),
        ([{"property": "a b", "field": "phone"}], "internal name"),
        ([{"property": "a", "field": "phone", "direction": "up"}], "direction is one of both, in, out"),
        ([{"property": "a", "field": "phone", "policy": "latest"}], "policy is one of"),
        ([{"property": "a", "field": "phone", "colour": 1}], "unknown key 'colour'"),
        ([{"property": "hs_object_id", "field": "custom.id"}], "carries the sync itself"),
        ([{"property": "mercuri_contact_id", "field": "custom.id"}], "carries the sync itself"),
    ],
)
def test_a_mapping_with_a_slip_is_refused(items: list[object], said: str) -> None:
    assert said in refusal("mapping", items)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (consent(property="hs_email_optout", kind="opt_out"), "speaks of e-mail only"),
        (consent(property="hs_email_optout_77", kind="opt_out", channel="whatsapp"), "speaks of e-mail only"),
        (consent(property="hs_email_optout", channel="email"), "its kind is opt_out"),
        (consent(property="hs_marketable_status", channel="email"), "billing"),
        (consent(property="hs_marketable_status", channel="email", kind="enumeration", values={}), "billing"),
        (consent(kind="date_pair", in_property="hs_legal_basis"), "names no channel"),
        (consent(property="hs_legal_basis"), "names no channel"),
        (consent(property="lifecyclestage", kind="enumeration", values={"lead": "in"}), "where a sale stands"),
        (consent(property="hs_lead_status", kind="enumeration", values={"OPEN": "in"}), "where a sale stands"),
        (consent(kind="boolean"), "kind is one of"),
        (consent(channel="fax"), "channel is one of"),
        (consent(kind="enumeration"), "values says"),
        (consent(kind="enumeration", values={"Yes": "true"}), "values says"),
        (consent(kind="enumeration", values={"a;b": "in"}), "semicolon"),
        (consent(kind="date_pair", in_property="x"), "out_property"),
        (consent(kind="date_pair", in_property="x", out_property="x"), "two properties"),
        (consent(kind="opt_out", false_says_nothing=True), "opt_in only"),
        (consent(note="x"), "unknown key 'note'"),
    ],
)
def test_a_consent_mapping_that_would_mislead_is_refused_with_the_reason(item: dict[str, object], said: str) -> None:
    assert said in refusal("consent_mapping", [item])


def test_the_email_opt_out_may_speak_of_email() -> None:
    read = from_json(
        "consent_mapping", json.dumps([consent(property="hs_email_optout", kind="opt_out", channel="email")])
    )

    assert read == (ConsentItem("email", "opt_out", "hs_email_optout"),)


def test_one_property_may_speak_of_two_channels_but_not_twice_of_one() -> None:
    from_json("consent_mapping", json.dumps([consent(), consent(channel="whatsapp")]))

    assert "speaks twice of sms" in refusal("consent_mapping", [consent(), consent(kind="opt_out")])


def test_a_property_is_either_a_field_or_consent() -> None:
    mapped = with_json(DEFAULTS, "mapping", '[{"property": "sms_ok", "field": "custom.sms_ok"}]')

    with pytest.raises(SettingRefused, match="mapped as a field and as consent"):
        with_json(mapped, "consent_mapping", json.dumps([consent()]))
