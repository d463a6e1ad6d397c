"""A token that works: refreshed early and once, kept through trouble, given up only when HubSpot means it."""

from __future__ import annotations

import threading
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from tests.support.clock import START, Clock
from tests.support.hubspot import API, Answer, MemoryTokens, ScriptedTransport, a_page, ok, scripted

from mercuri.errors import RateLimited, Unauthorised, Unavailable, UserError
from mercuri.hubspot.oauth import OAuth
from mercuri.hubspot.tokens import Tokens, TokenService

FRESH = {
    "access_token": "second",
    "refresh_token": "r",
    "expires_in": 1800,
    "scopes": ["oauth"],
    "hub_id": 4242,
    "user_id": 9,
}
REVOKED = {"error": "invalid_grant", "status": "BAD_REFRESH_TOKEN", "message": "refresh token is invalid"}
EXPIRED = ok({"status": "error", "category": "EXPIRED_AUTHENTICATION"}, 401)


def a_token(minutes: float = 30, access: str = "first", refresh: str | None = "r") -> Tokens:
    return Tokens(access, refresh, START + timedelta(minutes=minutes), ("oauth",))


class Desk:
    """A token service on a script, with its store and clock."""

    def __init__(self, tokens: Tokens, *answers: Answer) -> None:
        self.clock, self.script, self.store = Clock(), ScriptedTransport(*answers), MemoryTokens(tokens)
        oauth = OAuth(
            API,
            API,
            "client",
            "secret",
            "http://localhost/callback",
            httpx.Client(transport=self.script),
            self.clock.now,
        )
        self.service = TokenService(self.store, oauth, self.clock.now, self.clock.sleep)


def test_a_good_token_is_used_as_it_is():
    desk = Desk(a_token(minutes=6))

    assert desk.service.bearer() == "first"


def test_a_token_is_replaced_five_minutes_early_and_stored_before_use():
    desk = Desk(a_token(minutes=5), ok(FRESH))

    assert desk.service.bearer() == "second"
    assert [tokens.access for tokens in desk.store.saved] == ["second"]
    assert desk.store.saved[0].expires_at == START + timedelta(minutes=30)


def test_the_secrets_travel_in_the_body_and_never_in_the_address():
    desk = Desk(a_token(minutes=1), ok(FRESH))

    desk.service.bearer()

    request = desk.script.requests[0]
    assert (request.url.path, request.url.query) == ("/oauth/2026-09/token", b"")
    assert parse_qs(request.content.decode())["grant_type"] == ["refresh_token"]


def test_a_refresh_token_that_does_not_come_back_is_kept():
    desk = Desk(a_token(minutes=1), ok({"access_token": "second", "expires_in": 1800}))

    desk.service.bearer()

    assert (desk.store.tokens.refresh, desk.store.tokens.scopes) == ("r", ("oauth",))


def test_a_refused_token_is_replaced_once_though_many_threads_ask():
    desk = Desk(a_token(), ok(FRESH))
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(desk.service.bearer(renew="first"))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == ["second"] * 8
    assert len(desk.script.requests) == 1


def test_what_another_process_has_refreshed_is_not_refreshed_again():
    desk = Desk(a_token())
    desk.service.bearer()

    desk.store.tokens = a_token(access="theirs")

    assert desk.service.bearer(renew="first") == "theirs"


def test_a_revoked_grant_asks_for_a_new_connection():
    desk = Desk(a_token(minutes=1), ok(REVOKED, 400))

    with pytest.raises(Unauthorised):
        desk.service.bearer()

    assert desk.store.saved == []


@pytest.mark.parametrize("status", ["BAD_CLIENT_ID", "BAD_CLIENT_SECRET"])
def test_a_mistake_in_our_own_settings_is_no_revoked_portal(status):
    desk = Desk(a_token(minutes=1), ok({"error": "invalid_client", "status": status}, 400))

    with pytest.raises(UserError):
        desk.service.bearer()


@pytest.mark.parametrize("trouble", [ok({"message": "You have reached your rate limit."}, 429), httpx.Response(502)])
def test_a_busy_token_endpoint_is_asked_again(trouble):
    desk = Desk(a_token(minutes=-1), trouble, ok(FRESH))

    assert desk.service.bearer() == "second"
    assert desk.clock.monotonic() > 0


def test_a_token_that_still_lives_is_used_while_it_cannot_be_replaced():
    desk = Desk(a_token(minutes=2), *[httpx.Response(503)] * 4)

    assert desk.service.bearer() == "first"


@pytest.mark.parametrize(
    ("trouble", "error"), [(httpx.ConnectError("refused"), Unavailable), (httpx.Response(429), RateLimited)]
)
def test_a_dead_token_that_cannot_be_replaced_is_told_as_passing(trouble, error):
    desk = Desk(a_token(minutes=-1), *[trouble] * 4)

    with pytest.raises(error):
        desk.service.bearer()


def test_a_static_token_that_is_refused_asks_for_a_new_connection():
    hubspot = scripted(EXPIRED)

    with pytest.raises(Unauthorised):
        hubspot.client.list_contacts(["email"])


def test_a_request_in_the_middle_of_a_run_survives_the_end_of_its_token():
    hubspot = scripted(EXPIRED, ok(FRESH), a_page(), tokens=a_token())

    hubspot.client.list_contacts(["email"])

    assert [request.headers.get("authorization") for request in hubspot.script.requests] == [
        "Bearer first",
        None,
        "Bearer second",
    ]


def test_a_second_refusal_is_final():
    hubspot = scripted(EXPIRED, ok(FRESH), EXPIRED, tokens=a_token())

    with pytest.raises(Unauthorised):
        hubspot.client.list_contacts(["email"])


def test_a_code_is_exchanged_for_the_tokens_of_a_portal():
    desk = Desk(a_token(), ok(FRESH))
    grant = OAuth(
        API, API, "c", "s", "http://localhost/callback", httpx.Client(transport=desk.script), desk.clock.now
    ).exchange("code")

    assert (grant.hub_id, grant.user_id, grant.tokens.access, grant.scopes) == ("4242", "9", "second", ("oauth",))


@pytest.mark.parametrize("status", ["BAD_AUTH_CODE", "BAD_REDIRECT_URI"])
def test_a_code_that_is_refused_is_explained_to_the_person(status):
    script = ScriptedTransport(ok({"error": "invalid_grant", "status": status}, 400))

    with pytest.raises(UserError):
        OAuth(API, API, "c", "s", "http://localhost/callback", httpx.Client(transport=script)).exchange("old")


def test_the_address_of_consent_separates_scopes_by_encoded_spaces():
    oauth = OAuth(API, "https://app.test/", "c d", "s", "http://localhost/callback", httpx.Client())

    url = oauth.authorize_url("st&te", ("oauth", "crm.objects.contacts.read"), ())

    assert url == (
        "https://app.test/oauth/authorize?client_id=c%20d&redirect_uri=http%3A%2F%2Flocalhost%2Fcallback"
        "&scope=oauth%20crm.objects.contacts.read&state=st%26te"
    )


def test_an_unknown_token_is_inactive():
    script = ScriptedTransport(ok({"active": False}), ok({"active": True, "hub_id": 4242, "hub_domain": "a.example"}))
    oauth = OAuth(API, API, "c", "s", "http://localhost/callback", httpx.Client(transport=script))

    assert not oauth.introspect("x").active
    assert oauth.introspect("y").hub_id == "4242"


def test_no_token_shows_in_a_repr():
    assert "first" not in repr(a_token())
    assert "r'" not in repr(a_token(refresh="r"))
