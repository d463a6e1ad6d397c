"""The duplicates pages: review, compare, merge, tell apart, share, and take it all back."""

from __future__ import annotations

import pytest
from tests.support.html import Element, parse
from tests.support.web import OWNER, Site

from mercuri.core.contact import ContactId
from mercuri.engine import bulk_merging, dedupe, edit

PHONE = "+44 7911 123456"


def a_pair(site: Site, phone: str = PHONE) -> tuple[int, int]:
    ana = site.a_contact(first_name="Ana", phone=phone, email="ana@example.org")
    return ana, site.a_contact(first_name="A.", phone=phone, email="a.duarte@example.org")


def form(page: Element, action: str) -> Element:
    return next(one for one in page.every("form") if one.attributes.get("action", "") == action)


def groups(site: Site) -> int:
    return dedupe.totals(site.services.app, site.services.default_workspace).groups


def test_the_list_names_members_and_reasons(site: Site) -> None:
    ana, _ = a_pair(site)

    page = site.browser("manager").page("/duplicates")

    row = page.one("tr", id=f"group-{ana}")
    assert "Ana Duarte, A. Duarte" in row.text
    assert f"same phone {PHONE.replace(' ', '')}" in row.text
    assert "1 group (2 contacts)" in page.text


def test_a_viewer_sees_groups_and_decides_nothing(site: Site) -> None:
    ana, _ = a_pair(site)
    browser = site.browser("viewer")

    page = browser.page(f"/duplicates/{ana}")

    assert not [one for one in page.every("form") if "/duplicates/merge" in one.attributes.get("action", "")]
    assert browser.post("/duplicates/safe").status_code == 403


def test_filters_and_the_order_are_in_the_address(site: Site) -> None:
    a_pair(site)
    browser = site.browser("manager")

    assert "No group is like that" in browser.page("/duplicates?reason=email").text
    assert "Ana Duarte" in browser.page("/duplicates?reason=phone&sort=newest").text
    assert "No group is like that" in browser.page("/duplicates?only=linked").text


def test_two_are_compared_merged_and_taken_back(site: Site) -> None:
    ana, other = a_pair(site)
    browser = site.browser("manager")
    page = browser.page(f"/duplicates/{ana}")

    answer = browser.submit(form(page, "/duplicates/merge"), survivor=str(other), **{"field.first_name": str(ana)})

    shown = parse(answer.text)
    assert "2 contacts merged into Ana Duarte." in shown.text
    contact = browser.page(f"/contacts/{other}")
    assert "ana@example.org" in contact.text
    assert "a.duarte@example.org" in contact.text
    assert groups(site) == 0
    undone = browser.submit(next(one for one in shown.every("form") if "/undo" in one.attributes.get("action", "")))
    assert "The merge was taken back." in parse(undone.text).text
    assert groups(site) == 1


def test_after_a_merge_the_next_group_is_shown(site: Site) -> None:
    ana, _ = a_pair(site)
    bo, _ = a_pair(site, "+44 7400 123456")
    for id_ in (bo, bo + 1):
        edit.update_contact(
            site.services.app, site.services.default_workspace, ContactId(id_), {"email": f"{id_}@example.org"}, OWNER
        )
    browser = site.browser("manager")

    answer = browser.submit(form(browser.page(f"/duplicates/{ana}"), "/duplicates/merge"))

    assert answer.url.path == f"/duplicates/{bo}"


def test_a_group_that_changed_is_shown_again_instead_of_merged(site: Site) -> None:
    ana, _ = a_pair(site)
    browser = site.browser("manager")
    page = browser.page(f"/duplicates/{ana}")
    site.a_contact(first_name="Late", phone=PHONE)

    answer = browser.submit(form(page, "/duplicates/merge"))

    assert answer.url.path == f"/duplicates/{ana}"
    assert "changed meanwhile" in answer.text
    assert "Compare 3 contacts" in answer.text


def test_not_duplicates_is_remembered_and_can_be_taken_back(site: Site) -> None:
    ana, _ = a_pair(site)
    browser = site.browser("manager")

    browser.submit(form(browser.page(f"/duplicates/{ana}"), f"/duplicates/{ana}/dismiss"))

    assert groups(site) == 0
    page = browser.page("/duplicates/dismissed")
    assert "Ana Duarte" in page.text
    browser.submit(form(page, "/duplicates/dismissed/remove"))
    assert groups(site) == 1


def test_a_marked_pair_needs_the_override(site: Site) -> None:
    ana, other = a_pair(site)
    site.a_contact(first_name="Bridge", phone=PHONE, email="a.duarte@example.org")
    browser = site.browser("manager")
    dedupe.dismiss(site.services.app, site.services.default_workspace, ana, OWNER, [(ana, other)])
    page = browser.page(f"/duplicates/{ana}")
    assert "marked contacts" in page.text

    refused = browser.submit(form(page, "/duplicates/merge"))
    assert refused.status_code == 422
    done = browser.submit(form(page, "/duplicates/merge"), override="on")

    assert done.status_code == 200
    assert groups(site) == 0


def test_a_value_is_declared_shared_and_matched_again(site: Site) -> None:
    ana, _ = a_pair(site)
    browser = site.browser("manager")

    browser.submit(form(browser.page(f"/duplicates/{ana}"), "/duplicates/shared"))

    assert groups(site) == 0
    page = browser.page("/duplicates/shared")
    assert "+447911123456" in page.text
    browser.submit(next(one for one in page.every("form") if one.attributes.get("action", "").endswith("/remove")))
    assert groups(site) == 1


def test_possible_pairs_are_compared_and_told_apart(site: Site) -> None:
    one = site.a_contact(first_name="Bo", phone="", email="b.o@gmail.com")
    other = site.a_contact(first_name="Bob", phone="", email="bo@gmail.com")
    browser = site.browser("manager")

    page = browser.page("/duplicates/possible")
    assert "one Gmail address" in page.text
    assert "They may be one person" in browser.page(f"/duplicates/compare?ids={one},{other}").text
    browser.submit(form(page, "/duplicates/pair"))

    assert "Nothing to suggest" in browser.page("/duplicates/possible").text


def test_safe_groups_are_previewed_merged_and_taken_back_together(site: Site) -> None:
    a_pair(site)
    one = site.a_contact(first_name="Zoe", last_name="", phone="+44 7400 123456")
    site.a_contact(first_name="Max", last_name="", phone="+44 7400 123456")
    browser = site.browser("manager")
    page = browser.page("/duplicates/safe")
    assert "1 group (2 contacts) would be merged" in page.text
    assert "names differ" in page.text

    answer = browser.submit(form(page, "/duplicates/safe"))

    page = browser.page(answer.url.path)
    assert page.one("section", id="batch").attributes["data-state"] == "done"
    assert [list(members) for members in _groups(site)] == [[one, one + 1]]
    browser.submit(form(page, f"{answer.url.path}/undo"))
    page = browser.page(answer.url.path)
    assert page.one("section", id="batch").attributes["data-state"] == "undone"
    assert groups(site) == 2


def test_a_preview_of_many_groups_counts_on_by_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_merging, "_PREVIEW", 1)
    for number in range(3):
        site.a_contact(email=f"ana{number}@example.org")
        site.a_contact(email=f"ana{number}@example.org")
    browser = site.browser("manager")

    page = browser.page("/duplicates/safe")
    assert "1 of 3 groups are judged so far" in page.text
    further = page.one("section", id="safe").attributes["hx-get"]
    second = parse(browser.part(further).text).one("section", id="safe")
    third = parse(browser.part(second.attributes["hx-get"]).text).one("section", id="safe")
    last = parse(browser.part(third.attributes["hx-get"]).text).one("section", id="safe")

    assert "3 groups (6 contacts) would be merged" in last.text
    assert "hx-get" not in last.attributes
    assert "1 group (2 contacts)" in browser.page(further.replace("after=", "after=9")).text  # not where it was


def test_a_bulk_merge_shows_how_far_it_is_and_can_be_stopped(site: Site) -> None:
    a_pair(site)
    started = dedupe.merge_safe(site.services.app, site.services.default_workspace, OWNER)
    browser = site.browser("manager")

    page = browser.page(f"/duplicates/batches/{started.id}")
    assert "0 of 1 group looked at, 0 merged" in page.text
    assert page.one("progress").attributes["max"] == "1"
    answer = browser.submit(form(page, f"/duplicates/batches/{started.id}/cancel"))

    assert "This was stopped: of 1 group, 0 were merged" in parse(answer.text).text
    assert groups(site) == 1


def _groups(site: Site) -> list[tuple[int, ...]]:
    from mercuri.store import groups as stored

    with site.services.app.db.read(site.services.default_workspace) as tx:
        return [members for members, _ in stored.stored(tx).values()]


def test_merges_are_listed_with_the_way_back(site: Site) -> None:
    ana, _ = a_pair(site)
    browser = site.browser("manager")
    browser.submit(form(browser.page(f"/duplicates/{ana}"), "/duplicates/merge"))

    page = browser.page("/duplicates/merged")
    browser.submit(next(f for f in page.every("form") if f.attributes.get("action", "").endswith("/undo")))

    assert groups(site) == 1
    assert "taken back" in browser.page("/duplicates/merged").text


def test_a_group_that_was_settled_leads_to_the_list(site: Site) -> None:
    assert site.browser("viewer").get("/duplicates/4711").url.path == "/duplicates"


@pytest.mark.parametrize("address", ["/duplicates", "/duplicates/possible", "/duplicates/shared", "/duplicates/merged"])
def test_an_empty_page_says_what_would_be_there(site: Site, address: str) -> None:
    assert site.browser("manager").page(address).one("div", class_="empty").text


def test_a_contact_shows_who_may_be_the_same_person(site: Site) -> None:
    one = site.a_contact(first_name="Bo", phone="", email="b.o@gmail.com")
    other = site.a_contact(first_name="Bob", phone="", email="bo@gmail.com")

    card = site.browser("viewer").page(f"/contacts/{one}").one("section", id="possible")

    assert "Bob Duarte" in card.text
    assert card.one("a").attributes["href"] == f"/duplicates/compare?ids={one},{other}"


def test_from_how_many_holders_on_a_value_joins_nobody_is_set_beside_them(site: Site) -> None:
    for name in ("Ana", "Bo", "Cleo"):
        site.a_contact(first_name=name, phone="", email="office@example.org")
    browser = site.browser("manager")

    browser.submit(form(browser.page("/duplicates/shared"), "/duplicates/caps"), email_cap="2")

    assert groups(site) == 0
    page = browser.page("/duplicates/shared")
    assert "office@example.org" in page.text
    assert page.one("input", id="email_cap").attributes["value"] == "2"
    assert browser.submit(form(page, "/duplicates/caps"), email_cap="3", phone_cap="1").status_code == 422
    page = browser.page("/duplicates/shared")
    assert page.one("input", id="email_cap").attributes["value"] == "2"  # refused together
    assert site.browser("viewer").post("/duplicates/caps").status_code == 403
