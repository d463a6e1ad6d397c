"""Settings, Subscription and the card of a contact: what a person sees and does about consent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.support.api import a_connected_world, services_of
from tests.support.html import Element, parse
from tests.support.web import Browser, Site
from tests.support.world import OWNER, World

from mercuri.engine import consent
from mercuri.web.app import create_app

PHONE = "+14155552671"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_connected_world(tmp_path) as made:
        for number, value in enumerate(["true", "true", "false", ""]):
            made.sandbox.create({"firstname": "Ana", "phone": f"+1415555267{number + 1}", "sms_opt_in": value})
        made.sync()
        yield made


@pytest.fixture
def here(world: World) -> Site:
    services = services_of(world)
    return Site(create_app(services), services, world.clock)


def test_the_counts_are_shown_before_a_mapping_is_saved_and_the_next_sync_hears_it(world: World, here: Site) -> None:
    browser = here.browser("manager")
    page = browser.page("/settings/subscription")
    link = page.one("a", aria_label="Choose SMS opt-in")

    draft = browser.page(link.attributes["href"].split("#")[0])

    assert "in 2 / out 1 / blank 1 , 2 contacts here would change" in draft.one("p", id="counts").text
    saved = parse(browser.submit(draft.one("section", id="draft").every("form", method="post")[0]).text)
    assert "sms_opt_in" in saved.text
    world.sync()
    assert browser.page("/contacts?status=subscribed").text.count("+1415555267") >= 2


def test_an_inverted_mapping_is_seen_by_its_counts(here: Site) -> None:
    address = "/settings/subscription?property=sms_opt_in&kind=opt_out&channel=sms&count=1"

    draft = here.browser("manager").page(address).one("section", id="draft")

    assert "in 1 / out 2" in draft.text
    assert "wrong way round" in draft.text


def test_each_option_of_a_list_is_given_its_meaning(here: Site) -> None:
    browser = here.browser("manager")
    draft = browser.page("/settings/subscription?property=sms_consent").one("section", id="draft")
    assert [label.text for label in draft.every("label")][2:] == ["Yes means", "No means", "Not asked means"]

    counted = browser.page(
        "/settings/subscription?property=sms_consent&kind=enumeration&channel=sms&count=1&value:Yes=in&value:No=out"
    ).one("section", id="draft")

    assert "in 0 / out 0 / nothing 4" in counted.text


def test_what_can_never_say_it_is_named_with_the_reason(here: Site) -> None:
    page = here.browser("manager").page("/settings/subscription")

    assert "billing status, not consent" in page.one("section", id="offers").text


def test_what_can_never_say_it_is_refused_with_the_reason_and_not_for_its_options(here: Site) -> None:
    address = "/settings/subscription?property=hs_marketable_status&channel=email&count=1"

    draft = here.browser("manager").page(address).one("section", id="draft")

    assert "billing status, not consent" in draft.text


def _card(browser: Browser, contact: int) -> Element:
    return browser.page(f"/contacts/{contact}").one("section", id="consent")


def _form(card: Element, act: str) -> Element:
    return next(form for form in card.every("form") if form.fields().get("act") == act)


def test_a_user_opts_out_with_a_click_and_back_in_with_a_reason(world: World, here: Site) -> None:
    contact = world.create(first_name="Bo", phone="+14155552680")
    browser = here.browser("manager")
    card = _card(browser, contact)
    assert "Never asked" in card.text

    browser.submit(_form(card, "out"))
    assert "Opted out by manager@example.org" in _card(browser, contact).text
    world.clock.advance(5)
    browser.submit(_form(_card(browser, contact), "in"), reason="signed at the fair")

    card = _card(browser, contact)
    assert "Subscribed by manager@example.org" in card.text
    assert "signed at the fair" in card.text


def test_nobody_is_offered_to_open_what_the_person_closed(world: World, here: Site) -> None:
    contact = world.create(first_name="Bo", phone=PHONE)
    consent.record(world.app, world.ws, "sms", PHONE, "message", OWNER, text="STOP", proof={"message_id": "SM1"})

    line = _card(here.browser("manager"), contact).one("div", data_consent="sms")

    assert not line.has("form", method="post")
    assert "SM1" in line.text
    assert "Only the person can open it again" in line.text


def test_a_viewer_sees_it_and_is_offered_nothing(world: World, here: Site) -> None:
    contact = world.create(first_name="Bo", phone=PHONE)

    assert not _card(here.browser("viewer"), contact).has("form")
    assert here.browser("viewer").get("/settings/subscription/proof.csv").status_code == 403


def test_a_message_that_looks_like_a_stop_waits_for_a_decision(world: World, here: Site) -> None:
    world.create(first_name="Bo", phone=PHONE)
    consent.record(world.app, world.ws, "sms", PHONE, "message", OWNER, text="START")
    world.clock.advance(5)
    consent.record(world.app, world.ws, "sms", PHONE, "message", OWNER, text="please stop this")
    browser = here.browser("manager")

    waiting = browser.page("/settings/subscription").one("section", id="waiting")
    assert "please stop this" in waiting.text
    world.clock.advance(5)
    browser.submit(waiting.one("form"), act="resume")

    assert not browser.page("/settings/subscription").has("section", id="waiting")
    assert consent.check(world.app, world.ws, "sms", [PHONE])[0].sendable


def test_the_proof_is_downloaded(world: World, here: Site) -> None:
    consent.record(world.app, world.ws, "sms", PHONE, "message", OWNER, text="STOP")

    answer = here.browser("manager").get("/settings/subscription/proof.csv")

    assert answer.headers["content-disposition"].startswith("attachment")
    assert "STOP" in answer.text


def test_own_words_are_saved_and_a_word_that_means_yes_is_refused(world: World, here: Site) -> None:
    browser = here.browser("manager")
    form = browser.page("/settings/subscription").one("section", id="words").one("form")

    browser.submit(form, stop_words="Abbestellen\n")
    refused = browser.submit(form, stop_words="start")

    assert refused.status_code == 422
    assert "meaning of its own" in refused.text
    assert "Abbestellen" in browser.page("/settings/subscription").one("section", id="words").text


def test_words_are_not_saved_beside_a_channel_that_is_refused(here: Site) -> None:
    browser = here.browser("manager")
    form = browser.page("/settings/subscription").one("section", id="words").one("form")

    refused = browser.submit(form, stop_words="Abbestellen", status_channel="fax")

    assert refused.status_code == 422
    assert "Abbestellen" not in browser.page("/settings/subscription").one("section", id="words").text


def test_our_own_properties_are_made_on_request(world: World, here: Site) -> None:
    browser = here.browser("manager")
    form = browser.page("/settings/subscription").one("section", id="own").one("form")

    page = parse(browser.submit(form).text)

    assert "mercuri_sms_status" in page.one("section", id="own").text
    assert not page.one("section", id="own").has("form")


def test_a_new_option_is_reported_on_both_pages_and_given_a_meaning_there(world: World, here: Site) -> None:
    mapped = {"property": "sms_consent", "channel": "sms", "kind": "enumeration", "values": {"Yes": "in", "No": "out"}}
    world.settings(consent_mapping=[mapped])
    options = [{"label": name, "value": name} for name in ("Yes", "No", "not_asked", "Stop all")]
    world.sandbox.add_property({"name": "sms_consent", "options": options})
    record = world.sandbox.create({"firstname": "Bo", "phone": "+14155552680", "sms_consent": "Stop all"})
    world.clock.advance(7200)
    done = world.sync()
    browser = here.browser("manager")

    page = browser.page("/settings/subscription")
    warnings = page.one("div", id="warnings").text
    run = browser.page(f"/runs/{done.id}")
    draft = browser.page(page.one("a", aria_label="Change sms_consent").attributes["href"].split("#")[0])

    assert "the new option 'Stop all'" in warnings
    assert "1 record: sms_consent holds an option that has been given no meaning" in warnings
    assert f"record {record}" in warnings
    assert "the new option 'Stop all'" in run.one("div", id="warnings").text
    assert "sms_consent: Stop all" in run.one("section", id="failing").text
    form = draft.one("section", id="draft").one("form", method="get")
    assert form.fields()["value:Yes"] == "in"
    assert "in 0 / out 0 / nothing 5" in draft.one("p", id="counts").text
    assert "Stop all (new in HubSpot) means" in form.text
    address = "/settings/subscription?" + urlencode({**form.fields(), "value:Stop all": "out"})
    counted = browser.page(address).one("section", id="draft")
    browser.submit(counted.every("form", method="post")[0])
    assert not browser.page("/settings/subscription").has("div", id="warnings")
    assert "says no" in consent.check(world.app, world.ws, "sms", ["+14155552680"])[0].reason
