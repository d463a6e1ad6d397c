"""Reading a whole portal on several lanes that meet."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import pytest
from tests.support.connected import PROPERTIES, Desk, connected

from mercuri.errors import Unavailable
from mercuri.hubspot import everything
from mercuri.hubspot.client import Page
from mercuri.hubspot.everything import Portion, Progress, read_everything
from mercuri.hubspot.searching import Searching, Window


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "WORTH_IT", 300)
    monkeypatch.setattr(everything, "WINDOW_PAGES", 4)


def ids_of(portions: list[Portion]) -> list[str]:
    return sorted(record.id for portion in portions for record in portion.records)


def whole(desk: Desk) -> list[str]:
    return sorted(desk.sandbox.contact_ids())


@pytest.mark.parametrize("order", ["id", "none"])
@pytest.mark.parametrize("disorder", [True, False])
@pytest.mark.parametrize("cursor", ["refused", "works"])
@pytest.mark.parametrize("contacts", [0, 1, 150, 301, 1300])
def test_every_record_is_given_exactly_once(contacts, cursor, disorder, order):
    switches = {"list_order": order, "list_after": cursor, "search_disorder": disorder}
    desk = connected(contacts=contacts, switches=switches)

    portions = list(read_everything(desk.client, PROPERTIES))

    assert ids_of(portions) == whole(desk)
    assert [portion.last for portion in portions] == [False] * (len(portions) - 1) + [True]


def test_the_second_lane_spares_the_list(monkeypatch):
    desk = connected(contacts=1500)
    ask, searched = desk.sandbox.handle, threading.Event()

    def a_slow_list(method: str, path: str, *rest: Any) -> Any:
        if method == "GET":
            assert searched.wait(10)
        elif desk.sandbox.counts()["search"] >= 8:
            searched.set()
        return ask(method, path, *rest)

    monkeypatch.setattr(desk.sandbox, "handle", a_slow_list)

    portions = list(read_everything(desk.client, PROPERTIES))

    assert ids_of(portions) == whole(desk)
    assert desk.sandbox.counts()["list"] < 15


def test_the_list_keeps_out_of_what_search_has_taken(monkeypatch):
    monkeypatch.setattr(everything, "WINDOW_PAGES", 2)
    desk = connected(contacts=4000, switches={"list_after": "works"})
    ids = sorted(map(int, desk.sandbox.contact_ids()))
    taken, rest = set(ids[-800:]), set(ids[:-800])
    placed, listed = threading.Event(), threading.Event()
    seen: set[int] = set()
    places: list[str] = []
    ask = desk.sandbox.handle

    def in_order(method: str, path: str, query: str, headers: Any, body: bytes) -> Any:
        search = json.loads(body) if method == "POST" else {}
        if method == "GET":
            assert placed.wait(10)
        elif search["limit"] == 200 and "after" not in search:
            # The upper page of a window, whose place was asked for by its lower one.
            assert listed.wait(10)
        answer = ask(method, path, query, headers, body)
        if method == "GET":
            seen.update(int(record["id"]) for record in json.loads(answer.body)["results"])
            if seen >= rest:
                listed.set()
        elif "after" in search:
            places.append(search["after"])
            if len(places) == 2:
                placed.set()
        return answer

    monkeypatch.setattr(desk.sandbox, "handle", in_order)

    portions = list(read_everything(desk.client, PROPERTIES))

    assert ids_of(portions) == whole(desk)
    assert len(seen & taken) < 100


def window_of(desk: Desk, pages: int) -> tuple[Searching, Window]:
    search = Searching(desk.client, PROPERTIES, ThreadPoolExecutor(2), threading.Event())
    window = search.window(0, None, pages)
    assert window is not None
    return search, window


def test_a_window_costs_as_many_requests_as_it_has_pages():
    desk = connected(contacts=1500)

    search, window = window_of(desk, 4)
    pieces = search.read(window)

    assert sorted(record.id for records, _ in pieces for record in records) == whole(desk)[-800:]
    assert pieces[-1][1] == window.floor == int(whole(desk)[-800])
    assert desk.sandbox.counts()["search"] == 4


@pytest.mark.parametrize("place", [-1, -750])
def test_a_window_whose_records_change_meanwhile_is_read_as_it_is_then(place):
    desk = connected(contacts=1500)

    search, window = window_of(desk, 4)
    desk.sandbox.archive(whole(desk)[place])
    pieces = search.read(window)

    assert sorted(record.id for records, _ in pieces for record in records) == whole(desk)[-799:]


@pytest.mark.parametrize("counted", [True, False])
def test_a_window_is_given_only_when_it_holds_what_hubspot_counts(counted, monkeypatch):
    desk = connected(contacts=1500)
    forgetting(desk, monkeypatch, desk.sandbox.contact_ids()[-300], counted=counted)

    search, window = window_of(desk, 4)

    assert bool(search.read(window)) is not counted


def test_a_reading_that_was_over_gives_nothing_more():
    desk = connected(contacts=250)
    ended = list(read_everything(desk.client, PROPERTIES))[-1]

    again = list(read_everything(desk.client, PROPERTIES, ended.progress))

    assert [(portion.records, portion.last) for portion in again] == [((), True)]


def test_what_the_list_can_do_alone_it_does_alone():
    desk = connected(contacts=250)

    list(read_everything(desk.client, PROPERTIES))

    assert desk.sandbox.counts()["search"] == 1


@pytest.mark.parametrize("cursor", ["refused", "works"])
@pytest.mark.parametrize("stop_after", [1, 2, 5, 9])
def test_a_reading_goes_on_from_where_it_was_stored(stop_after, cursor):
    desk = connected(contacts=1500, switches={"list_after": cursor})
    stored: list[Portion] = []
    for portion in read_everything(desk.client, PROPERTIES):
        stored.append(portion)
        if len(stored) == stop_after:
            break

    progress = Progress(**json.loads(json.dumps(asdict(stored[-1].progress))))
    rest = list(read_everything(desk.client, PROPERTIES, progress))

    assert ids_of(stored + rest) == whole(desk)


def test_a_search_that_fails_leaves_the_work_to_the_list():
    desk = connected(contacts=700)
    desk.sandbox.fault("500", count=0, match="search$", skip=1)

    assert ids_of(list(read_everything(desk.client, PROPERTIES))) == whole(desk)


def test_an_index_that_lags_never_hides_a_record():
    desk = connected(contacts=700, lag_ms=3_600_000)
    late = [desk.sandbox.create({"firstname": "Late"}) for _ in range(40)]

    given = ids_of(list(read_everything(desk.client, PROPERTIES)))

    # Those that only the list could know may be the next increment's, but nobody is given twice or invented.
    assert set(whole(desk)) - set(late) <= set(given)
    assert max(Counter(given).values()) == 1


def test_trouble_with_the_list_is_told():
    desk = connected(contacts=700)
    desk.sandbox.fault("500", count=0, match="contacts$", method="GET")

    with pytest.raises(Unavailable):
        list(read_everything(desk.client, PROPERTIES))


def test_properties_too_many_for_a_search_are_read_by_the_list():
    desk = connected(contacts=700)
    names = PROPERTIES + [f"own_property_with_a_long_name_{number:03}" for number in range(100)]

    assert ids_of(list(read_everything(desk.client, names))) == whole(desk)
    assert desk.sandbox.counts()["search"] == 1


@pytest.mark.parametrize("cursor", ["refused", "works"])
def test_records_that_come_and_go_meanwhile_do_no_harm(cursor):
    desk = connected(contacts=1500, switches={"list_after": cursor})
    before = set(desk.sandbox.contact_ids())
    given: list[str] = []
    gone: set[str] = set()

    for number, portion in enumerate(read_everything(desk.client, PROPERTIES)):
        given += [record.id for record in portion.records]
        if number % 3 == 0:
            desk.sandbox.create({"firstname": f"New {number}"})
            victim = sorted(before - gone)[number]
            desk.sandbox.archive(victim)
            gone.add(victim)

    assert before - gone <= set(given)
    assert max(Counter(given).values()) == 1


def forgetting(desk: Desk, monkeypatch: pytest.MonkeyPatch, victim: str, *, counted: bool) -> None:
    """Let the pages of a search leave out one record, whether or not the count of their window includes it."""
    ask = desk.client.search

    def search(filters: Any, properties: Any, **options: Any) -> Page:
        page = ask(filters, properties, **options)
        bounded = options.get("limit") != 1 or any(each.operator == "LT" for each in filters[0])
        total = (page.total or 0) - (bounded and not counted)
        return replace(page, records=tuple(r for r in page.records if r.id != victim), total=total)

    monkeypatch.setattr(desk.client, "search", search)


@pytest.mark.parametrize("counted", [True, False])
def test_a_record_that_search_forgets_is_given_by_the_list(counted, monkeypatch):
    desk = connected(contacts=1000)
    forgetting(desk, monkeypatch, desk.sandbox.contact_ids()[-700], counted=counted)

    assert ids_of(list(read_everything(desk.client, PROPERTIES))) == whole(desk)


def lanes_of(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The cursors that the list was asked for, search being of no help."""
    asked: list[str | None] = []
    ask = desk.client.list_contacts

    def listed(properties: Any, after: str | None = None, **options: Any) -> Page:
        asked.append(after)
        return ask(properties, after, **options)

    monkeypatch.setattr(desk.client, "list_contacts", listed)
    monkeypatch.setattr(everything.Searching, "fits", lambda _: False)
    return asked


def test_where_the_cursor_may_be_chosen_the_list_is_read_at_several_places(monkeypatch):
    desk = connected(contacts=4000, switches={"list_after": "works"})
    asked = lanes_of(desk, monkeypatch)

    portions = list(read_everything(desk.client, PROPERTIES))

    spans = max(sum(span[1] < span[2] for span in portion.progress.spans) for portion in portions)
    assert ids_of(portions) == whole(desk)
    assert spans > 3
    assert len(asked) < 40 + 20


def test_where_it_may_not_one_chain_reads_the_list(monkeypatch):
    desk = connected(contacts=4000)
    asked = lanes_of(desk, monkeypatch)

    portions = list(read_everything(desk.client, PROPERTIES))

    assert ids_of(portions) == whole(desk)
    assert len(asked) == 40 + 1
    assert all(len(portion.progress.spans) <= 1 for portion in portions)


@pytest.mark.parametrize("shift", [-1, 1, 50])
def test_a_cursor_that_leads_elsewhere_hides_nothing(shift, monkeypatch):
    desk = connected(contacts=4000, switches={"list_after": "works"})
    given: set[str] = set()
    ask = desk.client.list_contacts

    def listed(properties: Any, after: str | None = None, **options: Any) -> Page:
        is_chosen = after is not None and after not in given
        page = ask(properties, str(int(after) + shift) if is_chosen else after, **options)
        given.add(str(page.after))
        return page

    monkeypatch.setattr(desk.client, "list_contacts", listed)

    # Where it is found out late, some are given again.
    assert set(ids_of(list(read_everything(desk.client, PROPERTIES)))) == set(whole(desk))


def test_a_cursor_that_stops_working_leaves_the_rest_to_one_chain(monkeypatch):
    desk = connected(contacts=4000, switches={"list_after": "works"})
    asked = lanes_of(desk, monkeypatch)
    given: list[Portion] = []

    for portion in read_everything(desk.client, PROPERTIES):
        given.append(portion)
        if len(given) == 6:
            desk.sandbox.switch(list_after="refused")

    assert set(ids_of(given)) == set(whole(desk))
    assert asked.count(None) in (1, 2)


def test_readers_that_leave_out_too_many_are_followed_by_one_chain(monkeypatch):
    desk = connected(contacts=4000, switches={"list_after": "works"})
    asked = lanes_of(desk, monkeypatch)
    ask, hidden = desk.client.list_contacts, set(desk.sandbox.contact_ids()[2000:2400])

    def listed(properties: Any, after: str | None = None, **options: Any) -> Page:
        page = ask(properties, after, **options)
        chained = asked.count(None) > 1
        return page if chained else replace(page, records=tuple(r for r in page.records if r.id not in hidden))

    monkeypatch.setattr(desk.client, "list_contacts", listed)

    assert set(ids_of(list(read_everything(desk.client, PROPERTIES)))) == set(whole(desk))


def test_ids_that_are_spread_unevenly_are_read_with_few_pages_more(monkeypatch):
    desk = connected(contacts=1500, switches={"list_after": "works"})
    desk.sandbox.portal._top_id += 10**11
    desk.sandbox.add_contacts(2500)
    asked = lanes_of(desk, monkeypatch)

    assert ids_of(list(read_everything(desk.client, PROPERTIES))) == whole(desk)
    assert len(asked) < 40 + 45


@pytest.mark.parametrize("order", ["id", "none"])
def test_a_reading_that_was_stored_to_its_end_ends_again(order):
    desk = connected(contacts=1500, switches={"list_order": order})
    end = list(read_everything(desk.client, PROPERTIES))[-1].progress

    again = list(read_everything(desk.client, PROPERTIES, Progress(**json.loads(json.dumps(asdict(end))))))

    assert again[-1].last
    assert set(ids_of(again)) <= set(whole(desk))
