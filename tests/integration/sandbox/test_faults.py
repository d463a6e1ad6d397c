"""Faults on demand, as a client meets them with and without a socket."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.support.sandbox import running_sandbox

from mercuri.sandbox import Running, Sandbox, start_in_thread

PATH = "/crm/objects/2026-09/contacts"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with running_sandbox(contacts=20) as served:
        yield served


@pytest.fixture
def remote(running: Running) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {running.sandbox.static_token}"}
    with httpx.Client(base_url=running.url, headers=headers, timeout=5) as client:
        yield client
    running.sandbox.clear_faults()


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "423"])
def test_an_error_comes_as_often_as_was_asked_for(sandbox: Sandbox, api: httpx.Client, kind: str) -> None:
    sandbox.fault(kind, count=2)

    assert [api.get("").status_code for _ in range(3)] == [int(kind), int(kind), 200]


def test_a_fault_waits_for_its_path_its_method_and_its_turn(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.fault("500", match="/search$")
    sandbox.fault("503", method="post", skip=1)

    assert api.get("").status_code == 200
    assert api.post("", json={"properties": {"firstname": "Ana"}}).status_code == 201
    assert api.post("/search", json={}).status_code == 500
    assert api.post("", json={"properties": {"firstname": "Ana"}}).status_code == 503


def test_an_outage_lasts_until_it_is_cleared(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.fault("outage")

    assert {api.get("").status_code for _ in range(20)} == {503}
    sandbox.clear_faults()
    assert api.get("").status_code == 200


def test_each_place_throttles_in_its_own_words(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.fault("429", count=3)

    listed, found = api.get("").json(), api.post("/search", json={}).json()
    token = api.post("http://sandbox/oauth/2026-09/token", data={"grant_type": "x"})

    assert listed["policyName"] == "TEN_SECONDLY_ROLLING"
    assert found["message"] == "You have reached your secondly limit."
    assert (token.status_code, token.json()["message"]) == (429, "You have reached your rate limit.")


def test_a_token_can_expire_or_be_revoked_at_any_request(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.fault("expired_token")
    sandbox.fault("revoked", count=2)

    expired = api.get("").json()
    revoked = api.get("").json()
    refresh = api.post("http://sandbox/oauth/2026-09/token", data={"grant_type": "refresh_token"})

    assert expired["category"] == "EXPIRED_AUTHENTICATION"
    assert revoked["category"] == "INVALID_AUTHENTICATION"
    assert refresh.json()["status"] == "BAD_REFRESH_TOKEN"


def test_a_migration_says_how_long_it_takes(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.fault("477")

    answer = api.get("")

    assert (answer.status_code, answer.headers["retry-after"]) == (477, "3600")


@pytest.mark.parametrize(
    ("kind", "happened"), [("lost_reply_before", 0), ("cut", 0), ("lost_reply_after", 1), ("truncated", 1)]
)
def test_a_reply_can_be_lost_before_or_after_the_effect(
    sandbox: Sandbox, api: httpx.Client, kind: str, happened: int
) -> None:
    sandbox.fault(kind)

    with pytest.raises(httpx.RemoteProtocolError):
        api.post("", json={"properties": {"firstname": "Ana"}})

    assert len(sandbox.contact_ids()) == happened


def test_a_timeout_happens_after_the_effect(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.fault("timeout")

    with pytest.raises(httpx.ReadTimeout):
        api.post("", json={"properties": {"firstname": "Ana"}})

    assert len(sandbox.contact_ids()) == 1


@pytest.mark.parametrize("kind", ["cut", "truncated"])
def test_over_a_socket_the_connection_really_breaks(running: Running, remote: httpx.Client, kind: str) -> None:
    running.sandbox.fault(kind)

    with pytest.raises(httpx.RemoteProtocolError):
        remote.get(PATH)

    assert remote.get(PATH).status_code == 200


def test_over_a_socket_a_timeout_keeps_the_client_waiting(running: Running, remote: httpx.Client) -> None:
    running.sandbox.fault("timeout")

    with pytest.raises(httpx.ReadTimeout):
        remote.get(PATH, timeout=httpx.Timeout(5, read=0.05))


def test_latency_delays_an_answer_and_not_the_other_connections(running: Running, remote: httpx.Client) -> None:
    running.sandbox.set_limits(latency_ms=60_000)
    try:
        with pytest.raises(httpx.ReadTimeout):
            remote.get(PATH, timeout=httpx.Timeout(5, read=0.05))
        assert remote.get("/sandbox/status", timeout=5).status_code == 200
    finally:
        running.sandbox.set_limits(latency_ms=0)


def test_the_admin_api_steers_everything_a_test_needs(running: Running, remote: httpx.Client) -> None:
    remote.delete("/sandbox/counts")
    remote.post("/sandbox/faults", json={"kind": "503", "match": "contacts$"})
    assert remote.get(PATH).status_code == 503

    made = remote.post("/sandbox/create", json={"properties": {"email": "ana@example.com"}}).json()["id"]
    remote.post("/sandbox/update", json={"id": made, "properties": {"city": "Lyon"}})
    other = remote.post("/sandbox/create", json={"properties": {"email": "bo@example.com"}}).json()["id"]
    merged = remote.post("/sandbox/merge", json={"primary": made, "other": other}).json()["id"]
    remote.post("/sandbox/archive", json={"id": merged})
    remote.post("/sandbox/restore", json={"id": merged})
    assert remote.get(f"{PATH}/{made}", params={"properties": "city"}).json()["properties"]["city"] == "Lyon"
    remote.post("/sandbox/erase", json={"id": merged})
    assert remote.get(f"{PATH}/{made}").status_code == 404

    assert remote.post("/sandbox/contacts", json={"count": 5}).json()["contacts"] == 25
    assert remote.get("/sandbox/counts").json()["read"] == 2
    assert remote.post("/sandbox/limits", json={"burst": "1/10"}).json()["limits"]["burst"] == "1/10"
    remote.get(PATH)
    assert remote.get(PATH).status_code == 429
    remote.post("/sandbox/limits", json={"burst": None})
    assert remote.get("/sandbox/log").json()["requests"][-1]["status"] == 429


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("switches", {"merge_id": "old"}, "merge_id"),
        ("switches", {"nothing": 1}, "nothing"),
        ("faults", {"kind": "flood"}, "flood"),
        ("faults", {"kind": "500", "match": "("}, "regular expression"),
        ("faults", {}, "kind"),
        ("limits", {"burst": "many"}, "many"),
        ("limits", {"speed": 1}, "speed"),
        ("update", {"id": "1", "properties": {}}, "not found"),
    ],
)
def test_a_senseless_admin_call_says_what_is_wrong(
    remote: httpx.Client, path: str, body: dict[str, object], told: str
) -> None:
    answer = remote.post(f"/sandbox/{path}", json=body)

    assert answer.status_code in (400, 404)
    assert told in answer.json()["error"]


def test_a_taken_port_is_an_error(running: Running) -> None:
    port = int(running.url.rpartition(":")[2])

    with pytest.raises(OSError, match="address already in use"):
        start_in_thread(Sandbox(), port=port)


def test_a_chunked_request_is_understood(running: Running, remote: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"limit":'
        yield b" 3}"

    answer = remote.post(f"{PATH}/search", content=parts(), headers={"content-type": "application/json"})

    assert len(answer.json()["results"]) == 3
