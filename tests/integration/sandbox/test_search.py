"""Search: typed comparison, its limits, and an index that is late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.support.clock import START, Clock

from mercuri.sandbox import Sandbox

NewContact = Callable[..., str]


def _filter(name: str, operator: str, value: object = None, **more: object) -> dict[str, object]:
    return {"propertyName": name, "operator": operator, **({} if value is None else {"value": value}), **more}


def _search(api: httpx.Client, *filters: dict[str, object], **more: Any) -> httpx.Response:
    return api.post("/search", json={"filterGroups": [{"filters": list(filters)}], **more})


def _ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["results"]]


@pytest.fixture
def three(new_contact: NewContact) -> list[str]:
    """Ana of Lyon with 9 points, Bo of Paris with 10, Cleo of nowhere with 100."""
    return [
        new_contact(email="ana@example.com", city="Lyon", points="9", sms_consent="Yes", sms_opted_in_on="2026-01-05"),
        new_contact(
            email="bo@example.com", city="Paris", points="10.0", sms_consent="No", sms_opted_in_on="2026-02-05"
        ),
        new_contact(email="cleo@example.com", points="100", phone="(415) 555-0132"),
    ]


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (_filter("points", "GT", "9"), [1, 2]),
        (_filter("points", "EQ", "10"), [1]),
        (_filter("points", "BETWEEN", "9", highValue="10"), [0, 1]),
        (_filter("points", "IN", values=["9.0", "100"]), [0, 2]),
        (_filter("city", "EQ", "LYON"), [0]),
        (_filter("city", "NEQ", "lyon"), [1]),
        (_filter("city", "IN", values=["lyon", "paris"]), [0, 1]),
        (_filter("city", "IN", values=["Lyon", "paris"]), [1]),
        (_filter("city", "NOT_IN", values=["lyon"]), [1]),
        (_filter("city", "HAS_PROPERTY"), [0, 1]),
        (_filter("city", "NOT_HAS_PROPERTY"), [2]),
        (_filter("sms_consent", "EQ", "yes"), []),
        (_filter("sms_consent", "IN", values=["Yes"]), [0]),
        (_filter("sms_opted_in_on", "GTE", "2026-02-01"), [1]),
        (_filter("email", "CONTAINS_TOKEN", "bo*"), [1]),
        (_filter("email", "CONTAINS_TOKEN", "example.com"), [0, 1, 2]),
        (_filter("email", "NOT_CONTAINS_TOKEN", "bo"), [0, 2]),
        (_filter("hs_searchable_calculated_phone_number", "EQ", "4155550132"), [2]),
        (_filter("hs_searchable_calculated_phone_number", "CONTAINS_TOKEN", "*5550132"), [2]),
        (_filter("phone", "EQ", "4155550132"), []),
        (_filter("hs_lastmodifieddate", "GTE", "0"), []),
    ],
)
def test_each_operator_compares_by_the_type_of_the_property(
    api: httpx.Client, three: list[str], item: dict[str, object], found: list[int]
) -> None:
    assert sorted(_ids(_search(api, item))) == sorted(three[each] for each in found)


def test_filters_of_a_group_all_hold_and_groups_are_alternatives(api: httpx.Client, three: list[str]) -> None:
    both = _search(api, _filter("points", "LT", "50"), _filter("city", "EQ", "paris"))
    either = api.post(
        "/search",
        json={
            "filterGroups": [
                {"filters": [_filter("city", "EQ", "lyon")]},
                {"filters": [_filter("points", "EQ", "100")]},
                {"filters": [_filter("points", "EQ", "9")]},
            ]
        },
    )

    assert _ids(both) == [three[1]]
    assert sorted(_ids(either)) == sorted([three[0], three[2]])
    assert either.json()["total"] == 2


def test_an_empty_body_finds_everybody(api: httpx.Client, three: list[str]) -> None:
    answer = api.post("/search", json={})

    assert sorted(_ids(answer)) == sorted(three)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ({"propertyName": "points", "direction": "DESCENDING"}, [2, 1, 0]),
        ({"propertyName": "points", "direction": "ASCENDING"}, [0, 1, 2]),
        ("-points", [2, 1, 0]),
        ({"propertyName": "city"}, [0, 1, 2]),
    ],
)
def test_sorting_is_typed_and_puts_empty_values_last(
    api: httpx.Client, three: list[str], sort: object, order: list[int]
) -> None:
    assert _ids(api.post("/search", json={"sorts": [sort]})) == [three[each] for each in order]


@pytest.mark.parametrize(
    "body",
    [
        {"filterGroups": [{"filters": [_filter("city", "HAS_PROPERTY")]}] * 6},
        {"filterGroups": [{"filters": [_filter("city", "HAS_PROPERTY")] * 7}]},
        {"filterGroups": [{"filters": [_filter("city", "HAS_PROPERTY")] * 5}] * 4},
        {"filterGroups": [{"filters": [_filter("nope", "HAS_PROPERTY")]}]},
        {"filterGroups": [{"filters": [_filter("city", "LIKE", "x")]}]},
        {"filterGroups": [{"filters": [_filter("city", "EQ")]}]},
        {"filterGroups": [{"filters": [_filter("city", "IN")]}]},
        {"filterGroups": [{"filters": [_filter("points", "GT", "many")]}]},
        {"filterGroups": [{"filters": [_filter("createdate", "GT", "soon")]}]},
        {"sorts": ["city", "points"]},
        {"sorts": ["nope"]},
        {"limit": 201},
        {"limit": 0},
        {"after": "abc"},
        {"properties": ["city"] * 500},
    ],
)
def test_what_search_refuses(api: httpx.Client, body: dict[str, object]) -> None:
    answer = api.post("/search", json=body)

    assert answer.status_code == 400
    assert answer.json()["category"] == "VALIDATION_ERROR"


def test_the_limit_of_characters_may_be_on_the_query_alone(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.switch(search_limit_on="query")

    assert api.post("/search", json={"properties": ["city"] * 500}).status_code == 200
    assert api.post("/search", json={"query": "x" * 3001}).status_code == 400


def test_a_query_looks_into_names_addresses_and_phones(api: httpx.Client, three: list[str]) -> None:
    assert _ids(api.post("/search", json={"query": "BO@example"})) == [three[1]]
    assert _ids(api.post("/search", json={"query": "ana lyon"})) == []
    assert len(_ids(api.post("/search", json={"query": "ana"}))) == 3


def test_pages_follow_by_offset_and_count_the_total(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.add_contacts(450)
    ids: list[str] = []
    after: dict[str, str] = {}

    while True:
        page = api.post("/search", json={"limit": 200, "sorts": ["createdate"], **after}).json()
        assert page["total"] == 450
        ids += [each["id"] for each in page["results"]]
        if "paging" not in page:
            break
        after = {"after": page["paging"]["next"]["after"]}
        assert after["after"] == str(len(ids))

    assert sorted(ids) == sandbox.contact_ids()


def test_nobody_pages_past_ten_thousand(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.add_contacts(10_300)

    last = api.post("/search", json={"limit": 200, "after": "9800"})
    across = api.post("/search", json={"limit": 200, "after": "9900"})
    sandbox.switch(search_cap_body="validation", search_cap_counts_limit=False)
    across_elsewhere = api.post("/search", json={"limit": 200, "after": "9900"})
    past = api.post("/search", json={"limit": 200, "after": "10000"})

    assert last.status_code == 200
    assert last.json()["total"] == 10_300
    assert (across.status_code, across.content) == (400, b"")
    assert across_elsewhere.status_code == 200
    assert past.status_code == 400
    assert past.json()["category"] == "VALIDATION_ERROR"


def test_more_contacts_than_the_cap_share_one_millisecond(clock: Clock, sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.add_contacts(10_100)
    clock.advance(60)
    instant = sandbox.stamp(10_050)

    tied = _search(api, _filter("lastmodifieddate", "EQ", str(instant)))
    top = int(sandbox.contact_ids()[10_000])
    rest = _search(
        api,
        _filter("lastmodifieddate", "BETWEEN", str(instant), highValue=str(instant)),
        _filter("hs_object_id", "GTE", str(top)),
        sorts=["hs_object_id"],
    )

    assert tied.json()["total"] == 10_050
    assert rest.json()["total"] == 50
    assert _ids(rest)[0] == str(top)


def test_a_sort_by_time_is_not_quite_in_order(clock: Clock, sandbox: Sandbox, api: httpx.Client) -> None:
    for each in range(150):
        sandbox.create({"firstname": f"Ana {each}"})
        clock.advance(20)

    def times() -> list[str]:
        answer = api.post("/search", json={"limit": 200, "sorts": ["lastmodifieddate"]})
        return [each["updatedAt"] for each in answer.json()["results"]]

    assert times() != sorted(times())
    sandbox.switch(search_disorder=False)
    assert times() == sorted(times())


def test_the_index_is_late(clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact) -> None:
    kept, gone = new_contact(email="ana@example.com"), new_contact(email="bo@example.com")
    sandbox.set_limits(lag_ms=10_000)
    fresh = new_contact(email="cleo@example.com")
    api.patch(f"/{kept}", json={"properties": {"email": "ana@example.org"}})
    api.delete(f"/{gone}")

    def found(email: str) -> list[str]:
        return _ids(_search(api, _filter("email", "EQ", email)))

    assert found("cleo@example.com") == []
    assert found("ana@example.com") == [kept]
    assert found("ana@example.org") == []
    assert found("bo@example.com") == [gone]
    clock.advance(10)
    assert found("cleo@example.com") == [fresh]
    assert found("ana@example.com") == []
    assert found("ana@example.org") == [kept]
    assert found("bo@example.com") == []


def test_changes_become_visible_out_of_order_but_the_last_one_stays(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    record_id = new_contact(city="0")
    sandbox.set_limits(lag_ms=10_000)
    for each in range(1, 30):
        clock.advance(0.1)
        api.patch(f"/{record_id}", json={"properties": {"city": str(each)}})

    clock.advance(10)

    assert _ids(_search(api, _filter("city", "EQ", "29"))) == [record_id]
    assert _search(api, _filter("lastmodifieddate", "GTE", "0")).json()["total"] == 1


def test_a_closed_window_of_time_finds_what_changed_in_it(
    clock: Clock, sandbox: Sandbox, api: httpx.Client, new_contact: NewContact
) -> None:
    start = int(START.timestamp() * 1000)
    before = new_contact()
    clock.advance(60)
    inside = new_contact()
    clock.advance(60)
    new_contact()

    window = _search(
        api, _filter("lastmodifieddate", "GTE", str(start + 1)), _filter("lastmodifieddate", "LTE", str(start + 60_000))
    )
    by_text = _search(api, _filter("lastmodifieddate", "LT", "2026-03-09T09:01:00Z"))

    assert _ids(window) == [inside]
    assert _ids(by_text) == [before]
