"""OAuth: the consent page, the token endpoint, and what a token may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support.clock import Clock
from tests.support.sandbox import SandboxTransport

from mercuri.sandbox import Sandbox

ASKED = {
    "client_id": "sandbox-client",
    "redirect_uri": "http://localhost:8765/oauth/hubspot/callback",
    "scope": "oauth crm.objects.contacts.read",
    "optional_scope": "crm.objects.contacts.write",
    "state": "a b&c",
}
APP = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}


@pytest.fixture
def web(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(transport=SandboxTransport(sandbox), base_url="http://sandbox") as client:
        yield client


def _code(web: httpx.Client, **changes: str) -> str:
    location = web.post("/oauth/authorize", data={**ASKED, "decision": "connect", **changes}).headers["location"]
    return parse_qs(urlsplit(location).query)["code"][0]


def _by_code(web: httpx.Client, code: str, /, **changes: str) -> httpx.Response:
    form = {**APP, "grant_type": "authorization_code", "code": code, "redirect_uri": ASKED["redirect_uri"]}
    return web.post("/oauth/2026-09/token", data={**form, **changes})


def _by_refresh(web: httpx.Client, refresh: str, **changes: str) -> httpx.Response:
    return web.post(
        "/oauth/2026-09/token", data={**APP, "grant_type": "refresh_token", "refresh_token": refresh, **changes}
    )


def _call(web: httpx.Client, token: str, path: str = "/crm/objects/2026-09/contacts") -> httpx.Response:
    return web.get(path, headers={"authorization": f"Bearer {token}"})


@pytest.fixture
def tokens(web: httpx.Client) -> dict[str, Any]:
    answer = _by_code(web, _code(web))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_the_consent_page_names_the_scopes_and_sends_back_with_code_and_state(web: httpx.Client) -> None:
    shown = web.get("/oauth/authorize", params=ASKED)
    agreed = web.post("/oauth/authorize", data={**ASKED, "decision": "connect"})

    assert "crm.objects.contacts.write" in shown.text
    assert "Connect app" in shown.text
    assert agreed.status_code == 303
    back = urlsplit(agreed.headers["location"])
    assert back.path == "/oauth/hubspot/callback"
    assert parse_qs(back.query)["state"] == ["a b&c"]


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "someone"},
        {"redirect_uri": "http://example.com/callback"},
        {"redirect_uri": ""},
        {"scope": "oauth contacts.everything"},
        {"scope": "crm.objects.contacts.read"},
    ],
)
def test_a_wrong_install_stops_on_hubspots_page(web: httpx.Client, change: dict[str, str]) -> None:
    shown = web.get("/oauth/authorize", params={**ASKED, **change})
    posted = web.post("/oauth/authorize", data={**ASKED, **change, "decision": "connect"})

    assert (shown.status_code, posted.status_code) == (400, 400)
    assert "Connect app</button>" not in shown.text


def test_a_refused_install_comes_back_with_some_code_or_never(sandbox: Sandbox, web: httpx.Client) -> None:
    def refuse() -> httpx.Response:
        return web.post("/oauth/authorize", data={**ASKED, "decision": "cancel"})

    told = parse_qs(urlsplit(refuse().headers["location"]).query)
    sandbox.switch(refused_install="access_denied")
    denied = parse_qs(urlsplit(refuse().headers["location"]).query)
    sandbox.switch(refused_install="none")

    assert told["state"] == ["a b&c"]
    assert told["error"] != ["access_denied"]
    assert denied["error"] == ["access_denied"]
    assert refuse().status_code == 200


def test_a_code_gives_tokens_once(web: httpx.Client) -> None:
    code = _code(web)

    first, second = _by_code(web, code), _by_code(web, code)

    body = first.json()
    assert body["expires_in"] == 1800
    assert body["hub_id"] == 4242
    assert set(body["scopes"]) == {"oauth", "crm.objects.contacts.read", "crm.objects.contacts.write"}
    assert _call(web, body["access_token"]).status_code == 200
    assert (second.status_code, second.json()["status"]) == (400, "BAD_AUTH_CODE")


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_id": "x"}, "BAD_CLIENT_ID", "invalid_client"),
        ({"client_secret": "x"}, "BAD_CLIENT_SECRET", "invalid_client"),
        ({"redirect_uri": "http://localhost/other"}, "BAD_REDIRECT_URI", "redirect_uri_mismatch"),
        ({"code": "x"}, "BAD_AUTH_CODE", "invalid_grant"),
        ({"grant_type": "password"}, "UNSUPPORTED_GRANT_TYPE", "unsupported_grant_type"),
    ],
)
def test_the_token_endpoint_says_what_is_wrong(
    web: httpx.Client, change: dict[str, str], status: str, error: str
) -> None:
    answer = _by_code(web, _code(web), **change)

    assert answer.status_code == 400
    assert (answer.json()["status"], answer.json()["error"]) == (status, error)


def test_parameters_in_the_query_or_as_json_are_refused(web: httpx.Client) -> None:
    form = {**APP, "grant_type": "refresh_token", "refresh_token": "x"}

    assert web.post("/oauth/2026-09/token", params=form, data=form).status_code == 400
    assert web.post("/oauth/2026-09/token", json=form).status_code == 415


def test_an_access_token_runs_out_and_a_refresh_token_stays_the_same(
    clock: Clock, web: httpx.Client, tokens: dict[str, Any]
) -> None:
    clock.advance(1817)

    old = _call(web, tokens["access_token"])
    fresh = _by_refresh(web, tokens["refresh_token"]).json()

    assert old.status_code == 401
    assert old.json()["category"] == "EXPIRED_AUTHENTICATION"
    assert "expired 17 second(s) ago" in old.json()["message"]
    assert fresh["refresh_token"] == tokens["refresh_token"]
    assert _call(web, fresh["access_token"]).status_code == 200


def test_a_revoked_grant_is_a_bad_refresh_token(sandbox: Sandbox, web: httpx.Client, tokens: dict[str, Any]) -> None:
    sandbox.revoke_tokens()

    answer = _by_refresh(web, tokens["refresh_token"])

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"
    assert answer.json()["status"] == "BAD_REFRESH_TOKEN"
    assert _call(web, tokens["access_token"]).status_code == 401


def test_revoking_a_refresh_token_leaves_access_tokens_alive(web: httpx.Client, tokens: dict[str, Any]) -> None:
    answer = web.post("/oauth/2026-09/token/revoke", data={**APP, "token": tokens["refresh_token"]})

    assert answer.status_code == 200
    assert _by_refresh(web, tokens["refresh_token"]).status_code == 400
    assert _call(web, tokens["access_token"]).status_code == 200


def test_introspection_knows_live_tokens_only(clock: Clock, web: httpx.Client, tokens: dict[str, Any]) -> None:
    def ask(token: str) -> Any:
        return web.post("/oauth/2026-09/token/introspect", data={**APP, "token": token}).json()

    live = ask(tokens["access_token"])
    clock.advance(1800)

    assert (live["active"], live["hub_id"], live["expires_in"]) == (True, 4242, 1800)
    assert ask(tokens["access_token"]) == {"active": False}
    assert ask("unknown") == {"active": False}
    assert ask(tokens["refresh_token"])["active"] is True


def test_a_missing_scope_by_oauth_has_no_category(web: httpx.Client) -> None:
    token = _by_code(web, _code(web, optional_scope="")).json()["access_token"]

    answer = web.post(
        "/crm/objects/2026-09/contacts", json={"properties": {}}, headers={"authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 403
    assert "category" not in answer.json()
    assert "crm.objects.contacts.write" in answer.json()["message"]


def test_a_missing_scope_of_a_static_token_is_named(sandbox: Sandbox, web: httpx.Client) -> None:
    sandbox.grant("pat-few", frozenset({"crm.objects.contacts.read"}))

    answer = web.post(
        "/crm/objects/2026-09/contacts", json={"properties": {}}, headers={"authorization": "Bearer pat-few"}
    )

    assert answer.status_code == 403
    assert answer.json()["category"] == "MISSING_SCOPES"
    assert answer.json()["errors"][0]["context"] == {"requiredGranularScopes": ["crm.objects.contacts.write"]}


@pytest.mark.parametrize("header", ["", "Bearer nobody", "Basic abc"])
def test_without_a_good_token_nothing_is_answered(web: httpx.Client, header: str) -> None:
    answer = web.get("/crm/objects/2026-09/contacts", headers={"authorization": header})

    assert answer.status_code == 401
    assert answer.json()["category"] == "INVALID_AUTHENTICATION"


def test_account_info_answers_an_app_and_not_a_static_token(
    sandbox: Sandbox, web: httpx.Client, tokens: dict[str, Any]
) -> None:
    path = "/account-info/2026-09/details"

    assert _call(web, tokens["access_token"], path).json()["portalId"] == 4242
    assert _call(web, sandbox.static_token, path).status_code == 403
    sandbox.switch(static_account_info="allowed")
    assert _call(web, sandbox.static_token, path).json()["portalId"] == 4242


def test_an_app_signs_its_writes_and_a_static_token_does_not(
    sandbox: Sandbox, web: httpx.Client, tokens: dict[str, Any]
) -> None:
    def author(token: str) -> Any:
        headers = {"authorization": f"Bearer {token}"}
        path = "/crm/objects/2026-09/contacts"
        made = web.post(path, json={"properties": {"firstname": "Ana"}}, headers=headers).json()["id"]
        got = web.get(f"{path}/{made}", params={"propertiesWithHistory": "firstname"}, headers=headers).json()
        entry = got["propertiesWithHistory"]["firstname"][0]
        return entry["sourceType"], entry.get("sourceId")

    assert author(tokens["access_token"]) == ("INTEGRATION", str(sandbox.app_id))
    assert author(sandbox.static_token) == ("INTEGRATION", None)
