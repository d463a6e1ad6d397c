"""Webhooks: what is told of a change, how it is signed, and that it comes again."""

from __future__ import annotations

import json
import queue
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from mercuri.sandbox import Sandbox
from mercuri.sandbox.webhooks import sign_v3

Event = dict[str, Any]


@pytest.fixture
def told(sandbox: Sandbox) -> Sandbox:
    """The sandbox with a target that nobody posts to: tests take the calls themselves."""
    sandbox.webhooks.target = "http://localhost/webhooks/hubspot"
    sandbox.switch(webhook_disorder=False)
    return sandbox


def _events(sandbox: Sandbox) -> list[Event]:
    return [event for call in sandbox.webhooks.take() for event in call]


@pytest.mark.parametrize(
    ("timestamp", "signature"),
    [
        ("1693657560000", "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
        ("1700000300000", "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
    ],
)
def test_the_signature_is_hubspots(timestamp: str, signature: str) -> None:
    secret, body = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", b"{'example_field':'example_value'}"

    assert sign_v3(secret, "POST", "https://www.example.com/webhook_uri", body, timestamp) == signature


def test_a_url_is_decoded_before_it_is_signed() -> None:
    plain = sign_v3("s", "POST", "https://example.com/a?x=a:b@c", b"", "1")

    assert sign_v3("s", "POST", "https://example.com/a?x=a%3Ab%40c", b"", "1") == plain
    assert sign_v3("s", "POST", "https://example.com/a?x=a%3ab%40c", b"", "1") == plain


def test_a_create_by_api_also_tells_the_values_it_set(told: Sandbox, api: httpx.Client) -> None:
    record_id = api.post("", json={"properties": {"firstname": "Ana", "email": "ana@example.com"}}).json()["id"]

    events = _events(told)

    assert [(each["subscriptionType"], each.get("propertyName")) for each in events] == [
        ("contact.creation", None),
        ("contact.propertyChange", "firstname"),
        ("contact.propertyChange", "email"),
    ]
    assert {each["objectId"] for each in events} == {int(record_id)}
    assert len({each["occurredAt"] for each in events}) == 1
    assert {each["changeSource"] for each in events} == {"INTEGRATION"}


def test_a_person_is_told_from_an_app(told: Sandbox) -> None:
    told.create({"firstname": "Ana"})

    assert {(each["changeSource"], each["sourceId"]) for each in _events(told)} == {("CRM_UI", "userId:28604240")}


def test_every_kind_of_change_is_told(told: Sandbox) -> None:
    ana, bo, cleo = (told.create({"firstname": each}) for each in ("Ana", "Bo", "Cleo"))
    _events(told)

    told.archive(ana)
    told.restore(ana)
    told.erase(cleo)
    survivor = told.merge(ana, bo)

    events = _events(told)
    assert Counter(each["subscriptionType"] for each in events) == {
        "contact.deletion": 3,
        "contact.restore": 1,
        "contact.privacyDeletion": 1,
        "contact.merge": 1,
        "contact.creation": 1,
    }
    merge = next(each for each in events if each["subscriptionType"] == "contact.merge")
    assert merge["primaryObjectId"] == int(ana)
    assert merge["mergedObjectIds"] == [int(ana), int(bo)]
    assert merge["newObjectId"] == int(survivor)


@pytest.mark.parametrize(("mode", "kinds"), [("deletion", {"merge", "deletion"}), ("none", {"merge"})])
def test_a_merge_may_tell_less(told: Sandbox, mode: str, kinds: set[str]) -> None:
    ana, bo = told.create({"firstname": "Ana"}), told.create({"firstname": "Bo"})
    told.switch(merge_events=mode)
    _events(told)

    told.merge(ana, bo)

    assert {each["subscriptionType"].removeprefix("contact.") for each in _events(told)} == kinds


def test_a_call_has_a_hundred_events_at_most(told: Sandbox) -> None:
    for each in range(60):
        told.create({"firstname": f"Ana {each}"})

    assert [len(call) for call in told.webhooks.take()] == [100, 20]


def test_events_come_out_of_order_and_some_twice(told: Sandbox) -> None:
    told.switch(webhook_disorder=True)
    for each in range(100):
        told.create({"firstname": f"Ana {each}"})

    events = _events(told)

    assert len(events) > 200
    assert [each["objectId"] for each in events] != sorted(each["objectId"] for each in events)


def test_nothing_is_kept_without_a_target(sandbox: Sandbox) -> None:
    sandbox.create({"firstname": "Ana"})

    assert sandbox.webhooks.take() == []


class _Receiver(BaseHTTPRequestHandler):
    """Refuses the first call, takes the others, and puts all of them into a queue."""

    calls: queue.Queue[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        first = self.calls.empty() and not self.server.refused  # type: ignore[attr-defined]
        self.server.refused = True  # type: ignore[attr-defined]
        self.calls.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(500 if first else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    _Receiver.calls = queue.Queue()
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    server.refused = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_call_is_signed_and_a_refused_one_comes_again(sandbox: Sandbox, receiver: HTTPServer) -> None:
    sandbox.switch(webhook_disorder=False)
    url = f"http://127.0.0.1:{receiver.server_port}/webhooks/hubspot"
    sandbox.webhooks.aim(url)
    record_id = sandbox.create({"firstname": "Ana"})

    seen: list[Event] = []
    while not any(each["attemptNumber"] == 1 for each in seen):
        headers, body = _Receiver.calls.get(timeout=60)
        expected = sign_v3("sandbox-secret", "POST", url, body, headers["x-hubspot-request-timestamp"])
        assert headers["x-hubspot-signature-v3"] == expected
        seen += json.loads(body)
    sandbox.webhooks.aim("")

    assert {each["objectId"] for each in seen} == {int(record_id)}
    assert seen[0]["attemptNumber"] == 0
