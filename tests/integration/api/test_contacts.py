"""Contacts over the API."""

from __future__ import annotations

import pytest
from tests.support.api import Api, a_caller
from tests.support.world import OWNER, World

from mercuri.core.contact import ContactId
from mercuri.engine import edit
from mercuri.store import contacts

ANA = {"first_name": "Ana", "last_name": "Duarte", "phone": "07911 123456", "email": "Ana@Example.org"}


def test_a_contact_is_created_with_its_addresses_in_normal_form(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json={**ANA, "phone": "+44 7911 123456", "custom": {"city": "Lyon"}})

    assert made["phone"] == "+44 7911 123456"
    assert made["phones"][0]["e164"] == "+447911123456"
    assert made["emails"][0]["normal"] == "ana@example.org"
    assert made["custom"] == {"city": "Lyon"}
    assert made["subscription_status"] == "not_subscribed"
    assert made["version"] == 1


def test_a_created_contact_names_its_address(api: Api) -> None:
    answer = api.post("/contacts", json=ANA)

    assert api.get(answer.headers["Location"].removeprefix("/api/v1")).json() == answer.json()
    assert answer.headers["ETag"] == '"1"'


def test_a_value_that_is_left_out_stays_and_an_empty_one_clears(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json=ANA)

    changed = api.asked("PATCH", f"/contacts/{made['id']}", 200, json={"email": "", "last_name": "Lind"})

    assert (changed["first_name"], changed["last_name"], changed["email"]) == ("Ana", "Lind", "")
    assert changed["emails"] == []
    assert changed["version"] == 2


def test_a_change_that_changes_nothing_leaves_the_version(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json=ANA)

    assert api.asked("PATCH", f"/contacts/{made['id']}", 200, json=ANA)["version"] == 1


def test_an_old_version_is_refused_with_the_present_contact(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json=ANA)
    api.asked("PATCH", f"/contacts/{made['id']}", 200, json={"last_name": "Lind"})

    answer = api.patch(f"/contacts/{made['id']}", json={"last_name": "Marsh"}, headers={"If-Match": '"1"'})

    assert answer.status_code == 412
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["present"]["last_name"] == "Lind"


def test_the_version_last_seen_is_accepted(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json=ANA)

    changed = api.asked(
        "PATCH", f"/contacts/{made['id']}", 200, json={"last_name": "Lind"}, headers={"If-Match": '"1"'}
    )

    assert changed["version"] == 2


def test_an_old_version_deletes_nothing(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json=ANA)
    api.asked("PATCH", f"/contacts/{made['id']}", 200, json={"last_name": "Lind"})

    api.asked("DELETE", f"/contacts/{made['id']}", 412, headers={"If-Match": '"1"'})

    assert api.asked("GET", f"/contacts/{made['id']}", 200)["deleted_at"] is None


def test_an_absorbed_contact_leads_to_its_survivor_through_any_chain(world: World, api: Api) -> None:
    first, second, last = (world.create(first_name=name) for name in ("Ana", "A.", "Ana Maria"))
    with world.app.db.write(world.ws) as tx:
        contacts.mark_merged(tx, first, second, world.clock.now())
        contacts.mark_merged(tx, second, last, world.clock.now())

    for method in ("GET", "PATCH", "DELETE"):
        answer = api.request(method, f"/contacts/{first}", json={} if method == "PATCH" else None)

        assert answer.status_code == 410
        assert answer.headers["Link"] == f'</api/v1/contacts/{last}>; rel="successor-version"'


def test_a_deleted_contact_is_gone_until_it_is_restored(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json=ANA)

    api.asked("DELETE", f"/contacts/{made['id']}", 204)

    api.asked("GET", f"/contacts/{made['id']}", 410)
    assert api.asked("GET", "/contacts", 200)["items"] == []
    assert api.asked("POST", f"/contacts/{made['id']}/restore", 200)["first_name"] == "Ana"
    assert len(api.asked("GET", "/contacts", 200)["items"]) == 1


def test_a_contact_that_is_not_deleted_cannot_be_restored(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json=ANA)

    assert api.asked("POST", f"/contacts/{made['id']}/restore", 409)["present"]["id"] == made["id"]


def test_history_tells_who_changed_what_newest_first(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json={"first_name": "Ana"})
    api.asked("PATCH", f"/contacts/{made['id']}", 200, json={"first_name": "Anna"})

    items = api.asked("GET", f"/contacts/{made['id']}/history", 200)["items"]

    assert [(c["field"], c["before"], c["after"]) for c in items[:1]] == [("first_name", "Ana", "Anna")]
    assert items[0]["actor"].startswith("api:")
    assert items[0]["reason"] == "edited"


def test_history_is_read_page_by_page(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json={"first_name": "0"})
    for number in range(1, 4):
        api.asked("PATCH", f"/contacts/{made['id']}", 200, json={"first_name": str(number)})
    address, seen, cursor = f"/contacts/{made['id']}/history", [], ""

    while cursor is not None:
        page = api.asked("GET", address, 200, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [item["after"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert seen[:3] == ["3", "2", "1"]
    assert len(seen) == len(set(seen)) == 5


def test_every_contact_is_on_exactly_one_page(world: World, api: Api) -> None:
    made = {world.create(first_name=f"Ana {number % 3}") for number in range(7)}
    seen: list[int] = []
    cursor: str | None = ""

    while cursor is not None:
        page = api.asked("GET", "/contacts", 200, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert len(seen) == 7
    assert set(seen) == made
    assert (page["total"], page["total_is_exact"]) == (7, True)


def test_the_list_is_searched_and_filtered(world: World, api: Api) -> None:
    ana = world.create(first_name="Ana", phone="+447911123456")
    world.create(first_name="Bo", email="bo@example.org")

    assert [c["id"] for c in api.asked("GET", "/contacts?q=ana", 200)["items"]] == [ana]
    assert [c["id"] for c in api.asked("GET", "/contacts?has_email=false", 200)["items"]] == [ana]
    assert api.asked("GET", "/contacts?status=subscribed", 200)["items"] == []


def test_a_parameter_without_a_value_is_not_given(world: World, api: Api) -> None:
    world.create(first_name="Ana")
    jose = world.create(first_name="José")

    found = api.asked("GET", "/contacts?q=Jos%C3%A9&status=&duplicate=&portal=&cursor=&limit=", 200)

    assert [c["id"] for c in found["items"]] == [jose]
    assert api.asked("GET", "/conflicts?cursor=", 200)["items"] == []


@pytest.mark.parametrize(
    ("method", "address", "body", "status"),
    [
        ("GET", "/contacts?limit=0", None, 422),
        ("GET", "/contacts?limit=201", None, 422),
        ("GET", "/contacts?cursor=nonsense", None, 400),
        ("GET", "/contacts?status=maybe", None, 422),
        ("GET", "/contacts/999", None, 404),
        ("GET", "/contacts/abc", None, 422),
        ("GET", "/contacts/99999999999999999999", None, 422),
        ("GET", "/contacts/999/history", None, 404),
        ("POST", "/contacts", {}, 400),
        ("POST", "/contacts", {"first_name": " "}, 400),
        ("POST", "/contacts", {"fist_name": "Ana"}, 422),
        ("POST", "/contacts", {"custom": {"Bad Name": "x"}}, 422),
        ("POST", "/contacts", {"first_name": 1}, 422),
        ("PATCH", "/contacts/999", {"first_name": "Ana"}, 404),
        ("POST", "/contacts/999/restore", None, 404),
        ("DELETE", "/contacts/999", None, 404),
    ],
)
def test_what_cannot_be_meant_is_a_problem_document(
    api: Api, method: str, address: str, body: object, status: int
) -> None:
    answer = api.request(method, address, json=body)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_null_is_no_value_of_a_new_contact_and_refused_as_a_change(api: Api) -> None:
    made = api.asked("POST", "/contacts", 201, json={"first_name": "Ana", "email": None})

    refused = api.asked("PATCH", f"/contacts/{made['id']}", 422, json={"first_name": None})

    assert 'send "" to clear it' in refused["detail"]
    assert api.asked("GET", f"/contacts/{made['id']}", 200)["first_name"] == "Ana"


def test_a_problem_never_repeats_what_was_sent(api: Api) -> None:
    answer = api.post("/contacts", json={"first_name": ["secret-value"]})

    assert answer.status_code == 422
    assert "secret-value" not in answer.text


def test_a_viewer_reads_and_changes_nothing(world: World) -> None:
    contact = world.create(first_name="Ana")
    with a_caller(world, "viewer") as viewer:
        assert viewer.asked("GET", f"/contacts/{contact}", 200)["first_name"] == "Ana"
        for method, address in (
            ("POST", "/contacts"),
            ("PATCH", f"/contacts/{contact}"),
            ("DELETE", f"/contacts/{contact}"),
        ):
            answer = viewer.request(method, address, json={"first_name": "Bo"} if method != "DELETE" else None)
            assert answer.status_code == 403

    assert world.contact(contact).fields["first_name"] == "Ana"


def test_an_erased_contact_leaves_nothing_behind(world: World, api: Api) -> None:
    contact = world.create(first_name="Ana", email="ana@example.org", phone="+447911123456")

    api.asked("DELETE", f"/contacts/{contact}?erase=true", 204)

    api.asked("GET", f"/contacts/{contact}", 404)
    file = ["email,first_name\n", "ANA@example.org,Ana\n"]
    report = edit.import_csv(world.app, world.ws, file, None, OWNER, False)
    assert [error.reason for error in report.errors] == ["this person asked to be erased"]
    assert world.contacts() == {}


def test_an_edit_of_an_unknown_contact_changes_nothing(world: World, api: Api) -> None:
    api.asked("PATCH", "/contacts/12345", 404, json={"first_name": "Ana"})

    assert ContactId(12345) not in world.contacts()


def test_a_file_is_imported_with_its_permissions(world: World, api: Api) -> None:
    file = "Mobile,ok\n(415) 555-2671,yes\n(415) 555-2672,perhaps\n"
    asked = {
        "headers": {"Content-Type": "text/csv"},
        "content": file.encode(),
    }
    columns = {"map": ["Mobile=phone", "ok=consent.sms"], "consent_source": "web form"}

    dry = api.asked("POST", "/contacts/import", 200, params={**columns, "dry_run": "true"}, **asked)
    assert world.contacts() == {}
    real = api.asked("POST", "/contacts/import", 200, params=columns, **asked)

    assert {**dry, "dry_run": False} == real
    assert (real["created"], real["consent"]) == (2, {"said_in": 1, "said_out": 0, "refused": 1})
    assert real["unheard"] == [
        {"line": 3, "reason": "SMS was not recorded: it is neither yes nor no"},
    ]
    shown = api.asked("GET", "/consent", 200, params={"channel": "sms", "address": "+14155552671"})
    assert (shown["sendable"], shown["evidence"][0]["proof"]["source"]) == (True, "web form")


def test_an_import_over_the_api_refuses_what_is_no_table_and_a_viewer(world: World, api: Api) -> None:
    asked = {"headers": {"Content-Type": "text/csv"}, "content": b"phone\n415 555 2671\n"}

    assert "no column" in api.asked("POST", "/contacts/import?map=x%3Dphone", 400, **asked)["detail"]
    assert "1,000" in api.asked("POST", f"/contacts/import?consent_source={'x' * 1001}", 400, **asked)["detail"]
    assert "COLUMN=FIELD" in api.asked("POST", "/contacts/import?map=phone", 400, **asked)["detail"]
    for other in ({"json": {"phone": "415 555 2671"}}, {"files": {"file": b"phone\n415 555 2671\n"}}):
        assert "Content-Type: text/csv" in api.asked("POST", "/contacts/import", 400, **other)["detail"]
    with a_caller(world, "viewer") as viewer:
        viewer.asked("POST", "/contacts/import", 403, **asked)
    assert world.contacts() == {}


@pytest.mark.parametrize("path", ["/consent-events", "/messages/check", "/contacts"])
@pytest.mark.parametrize("body", [b'{"channel":"sms","text":"\xff"}', b"[" * 100_000], ids=["latin-1", "deep"])
def test_a_body_that_cannot_be_read_is_a_problem_that_says_what_to_send(api: Api, path: str, body: bytes) -> None:
    answer = api.post(path, content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["title"]) == (400, "Invalid request")
    assert "Nothing was changed" in problem["detail"]
    assert "UTF-8" in problem["detail"]
    assert api.asked("GET", "/contacts", 200)["total"] == 0
