"""A portal connected by OAuth: from the person's consent to the last refresh."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from tests.support.clock import Clock
from tests.support.hubspot import API, MemoryTokens
from tests.support.sandbox import SandboxTransport

from mercuri.errors import Unauthorised, UserError
from mercuri.hubspot.client import Client
from mercuri.hubspot.oauth import OPTIONAL_SCOPES, SCOPES, OAuth
from mercuri.hubspot.pacing import Limit, Pacer
from mercuri.hubspot.tokens import TokenService
from mercuri.sandbox import Sandbox

BACK = "http://localhost:8765/oauth/hubspot/callback"


@dataclass
class Desk:
    """A portal, our app as it knows it, and their common clock."""

    sandbox: Sandbox
    clock: Clock
    http: httpx.Client
    oauth: OAuth

    def connect(self) -> tuple[Client, MemoryTokens]:
        store = MemoryTokens(self.oauth.exchange(self.code()).tokens)
        tokens = TokenService(store, self.oauth, self.clock.now, self.clock.sleep)
        pacer = Pacer(
            Limit(1000, 1), Limit(1000, 1), now=self.clock.monotonic, wall=self.clock.now, sleep=self.clock.sleep
        )
        return Client(self.http, API, tokens, pacer, portal="4242"), store

    def code(self) -> str:
        return self.sandbox.oauth.agree(BACK, frozenset({*SCOPES, *OPTIONAL_SCOPES}))


def a_desk(secret: str = "sandbox-secret") -> Desk:
    clock = Clock()
    sandbox = Sandbox(contacts=5, now=clock.now)
    http = httpx.Client(transport=SandboxTransport(sandbox))
    return Desk(sandbox, clock, http, OAuth(API, API, "sandbox-client", secret, BACK, http, clock.now))


def test_a_person_can_agree_to_what_we_ask_for():
    desk = a_desk()

    asked = dict(parse_qsl(urlsplit(desk.oauth.authorize_url("state")).query))

    assert desk.sandbox.oauth.check_install(asked) == ""
    assert asked["state"] == "state"


def test_consent_opens_the_portal():
    desk = a_desk()

    grant = desk.oauth.exchange(desk.code())
    about = desk.oauth.introspect(grant.tokens.access)

    assert (grant.hub_id, about.active, about.hub_id) == ("4242", True, "4242")
    assert set(SCOPES) <= set(grant.scopes)


def test_a_code_serves_once():
    desk = a_desk()
    code = desk.code()
    desk.oauth.exchange(code)

    with pytest.raises((UserError, Unauthorised)):
        desk.oauth.exchange(code)


def test_a_run_of_hours_never_meets_an_expired_token():
    desk = a_desk()
    client, store = desk.connect()

    for _ in range(60):
        assert len(client.list_contacts(["email"]).records) == 5
        desk.clock.advance(240)

    assert len(store.saved) >= 8
    assert {entry["status"] for entry in desk.sandbox.log()} == {200}


@pytest.mark.parametrize("ask", ["list", "search", "read", "batch", "account", "properties"])
def test_every_kind_of_request_survives_a_token_that_ends_early(ask):
    desk = a_desk()
    client, store = desk.connect()
    record_id = desk.sandbox.contact_ids()[0]
    desk.sandbox.expire_tokens()
    asks = {
        "list": lambda: client.list_contacts(["email"]),
        "search": lambda: client.search([], ["email"]),
        "read": lambda: client.read(record_id, ["email"]),
        "batch": lambda: client.read_many([record_id], ["email"]),
        "account": client.account,
        "properties": client.properties,
    }

    assert asks[ask]()
    assert len(store.saved) == 1


def test_an_app_that_was_uninstalled_asks_for_a_new_connection_and_keeps_its_tokens():
    desk = a_desk()
    client, store = desk.connect()
    desk.sandbox.revoke_tokens()

    with pytest.raises(Unauthorised):
        client.list_contacts(["email"])

    assert store.saved == []


def test_a_wrong_secret_is_our_own_mistake():
    desk = a_desk(secret="wrong")

    with pytest.raises(UserError):
        desk.oauth.exchange(desk.code())
