"""Who gets in, over the whole route table: nobody without a token, and nobody into another workspace."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from tests.support.api import Api, a_caller, another_workspace, services_of
from tests.support.world import OWNER, PORTAL, World

import mercuri.web.api
from mercuri.engine import edit, run
from mercuri.store import users

#: Bodies of the calls that need one, so that they get as far as looking for the thing itself.
BODIES: dict[str, dict[str, Any]] = {
    "/contacts": {"first_name": "Ana"},
    "/contacts/{contact_id}": {"first_name": "Ana"},
    "/sync-runs": {"portal_id": PORTAL},
    "/conflicts/{conflict_id}/resolve": {"take": "hubspot"},
    "/portals/{portal_id}/settings": {"two_way": True},
    "/portals": {"token": "pat-wrong"},
    "/duplicates/shared-values": {"kind": "phone", "value": "+447911123456"},
    "/merges/{merge_id}/hubspot": {"action": "now"},
}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path of the API, as OpenAPI tells it."""
    document = app.openapi()
    return [
        (method.upper(), path.removeprefix("/api/v1"))
        for path, item in document["paths"].items()
        for method in item
        if path.startswith("/api/v1")
    ]


def ask(api: Api, method: str, path: str, **ids: object) -> Any:
    """Call a route with these ids."""
    address = re.sub(r"{(\w+)}", lambda match: str(ids.get(match[1], 1)), path)
    body = BODIES.get(path, {}) if method in ("POST", "PUT", "PATCH") else None
    return api.request(method, address, json=body)


def test_the_route_table_is_the_whole_api(api: Api) -> None:
    areas = [module.router for module in vars(mercuri.web.api).values() if hasattr(module, "router")]
    served = {(m, route.path) for area in areas for route in area.routes for m in route.methods}  # type: ignore[attr-defined]

    assert served == set(routes(api.web))
    assert len(served) > 20


@pytest.mark.parametrize("token", ["", "mercuri_wrong", "a b", "x" * 5000])
def test_every_route_needs_a_token(world: World, token: str) -> None:
    with Api(services_of(world), token) as stranger:
        for method, path in routes(stranger.web):
            answer = ask(stranger, method, path)

            assert answer.status_code == 401, f"{method} {path}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Content-Type"] == "application/problem+json"
        assert stranger.get("http://mercuri.test/api/openapi.json").status_code == 200


def test_a_token_in_the_address_or_a_cookie_does_not_count(world: World, api: Api) -> None:
    token = api.headers["Authorization"].removeprefix("Bearer ")
    with Api(services_of(world), "") as stranger:
        assert stranger.get("/contacts", params={"token": token}).status_code == 401
        stranger.cookies.set("mercuri_session", token)
        assert stranger.get("/contacts").status_code == 401


def test_a_revoked_token_is_refused_at_once(world: World) -> None:
    with a_caller(world) as api:
        api.asked("GET", "/contacts", 200)
        with world.app.db.write(world.ws) as tx:
            users.revoke_token(tx, users.tokens(tx)[0].name)

        api.asked("GET", "/contacts", 401)


def test_a_viewer_changes_nothing_on_any_route(world: World) -> None:
    with a_caller(world, "viewer") as viewer:
        for method, path in routes(viewer.web):
            if method not in ("GET", "HEAD") and path != "/messages/check":
                assert ask(viewer, method, path, portal_id=PORTAL).status_code == 403, f"{method} {path}"


def test_one_workspace_never_sees_anothers(world: World) -> None:
    """Cleo's team asks every route for Ana's things by their right ids, and learns nothing."""
    contact = world.create(first_name="Ana", last_name="Secretperson", email="ana@secret.example")
    cleo = another_workspace(world)
    asked = run.request(world.app, world.ws, PORTAL, trigger="api", actor=OWNER)
    ids = {
        "contact_id": contact,
        "run_id": asked.id,
        "portal_id": PORTAL,
        "group_id": contact,
    }
    before = state_of(world)
    with a_caller(world, "owner", ws=cleo) as theirs:
        for method, path in routes(theirs.web):
            if "{" not in path and method == "POST" and path != "/sync-runs":
                continue  # makes something of Cleo's own
            answer = ask(theirs, method, path, **ids)

            assert "secret" not in answer.text.lower(), f"{method} {path}"
            if "{" in path or method == "POST":
                assert answer.status_code in (404, 422), f"{method} {path}: {answer.status_code}"
            elif isinstance(answer.json(), dict):
                assert not answer.json().get("items"), f"{method} {path}"

    assert state_of(world) == before
    assert run_state(world, asked.id) == "queued"


def state_of(world: World) -> list[tuple[object, ...]]:
    """What the workspace holds of its contacts."""
    return [(c.id, dict(c.fields), c.version, c.deleted_at) for c in world.contacts().values()]


def run_state(world: World, run_id: Any) -> str:
    """How the run stands in its own workspace."""
    from mercuri.store import runs

    with world.app.db.read(world.ws) as tx:
        return runs.get(tx, run_id).state


def test_a_token_shows_when_it_was_last_used(world: World) -> None:
    with a_caller(world) as api:
        api.asked("GET", "/contacts", 200)

    with world.app.db.read(world.ws) as tx:
        assert users.tokens(tx)[0].used_at == world.clock.now()


def test_an_error_nobody_foresaw_tells_nothing(world: World, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("inside: ana@secret.example")

    monkeypatch.setattr(edit, "create_contact", broken)

    answer = api.post("/contacts", json={"first_name": "Ana"})

    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in answer.text
