"""Runs, portals and conflicts over the API, against a sandbox."""

from __future__ import annotations

import json
import threading

from tests.support.api import Api
from tests.support.world import PORTAL, World

from mercuri.core.contact import RunId
from mercuri.engine import run
from mercuri.sandbox.api import STATIC_TOKEN


def executed(world: World, document: dict[str, object]) -> None:
    """A worker does the run."""
    run.execute(world.app, world.ws, RunId(int(str(document["id"]))), owner="worker")


def test_a_run_is_asked_for_done_and_adds_up(world: World, api: Api) -> None:
    world.sandbox.portal.seed(12)

    asked = api.asked("POST", "/sync-runs", 202, json={})
    executed(world, asked)

    assert (asked["state"], asked["trigger"], asked["kind"]) == ("queued", "api", "full")
    done = api.asked("GET", f"/sync-runs/{asked['id']}", 200)
    counts = done["counts"]
    assert done["state"] == "done"
    assert counts["fetched"] == 12
    assert counts["fetched"] == sum(counts[n] for n in ("created", "updated", "unchanged", "excluded", "failing"))
    assert set(done["api_calls"]) == {"list", "search", "read", "write", "other", "throttled"}


def test_one_run_of_a_portal_is_live_at_a_time(api: Api) -> None:
    first = api.asked("POST", "/sync-runs", 202, json={"portal_id": PORTAL})

    refused = api.asked("POST", "/sync-runs", 409, json={})

    assert refused["present"]["id"] == first["id"]


def test_a_run_of_an_unknown_portal_is_not_found(api: Api) -> None:
    api.asked("POST", "/sync-runs", 404, json={"portal_id": "999"})


def test_runs_are_listed_newest_first(world: World, api: Api) -> None:
    first = api.asked("POST", "/sync-runs", 202, json={})
    executed(world, first)
    second = api.asked("POST", "/sync-runs", 202, json={"full": True})

    page = api.asked("GET", "/sync-runs?limit=1", 200)
    rest = api.asked("GET", f"/sync-runs?limit=1&cursor={page['next_cursor']}", 200)

    assert [page["items"][0]["id"], rest["items"][0]["id"]] == [second["id"], first["id"]]
    assert rest["next_cursor"] is None
    assert api.asked("GET", "/sync-runs?state=done", 200)["items"][0]["id"] == first["id"]


def test_a_cancelled_run_ends(world: World, api: Api) -> None:
    asked = api.asked("POST", "/sync-runs", 202, json={})

    cancelled = api.asked("POST", f"/sync-runs/{asked['id']}/cancel", 202)

    assert cancelled["state"] == "cancelled"


def test_events_of_a_run_end_with_the_run(world: World, api: Api) -> None:
    asked = api.asked("POST", "/sync-runs", 202, json={})
    executed(world, asked)

    answer = api.get(f"/sync-runs/{asked['id']}/events")

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [json.loads(part.split("data: ")[1]) for part in answer.text.split("\n\n") if "data: " in part]
    assert [event["state"] for event in events] == ["done"]


def test_events_follow_a_run_to_its_end(world: World, api: Api) -> None:
    asked = api.asked("POST", "/sync-runs", 202, json={})
    worker = threading.Timer(0.2, executed, (world, asked))
    worker.start()

    answer = api.get(f"/sync-runs/{asked['id']}/events")
    worker.join()

    states = [json.loads(part.split("data: ")[1])["state"] for part in answer.text.split("\n\n") if "data: " in part]
    assert states[0] == "queued"
    assert states[-1] == "done"


def test_changes_and_failures_belong_to_a_run(world: World, api: Api) -> None:
    asked = api.asked("POST", "/sync-runs", 202, json={})
    executed(world, asked)

    assert api.asked("GET", f"/sync-runs/{asked['id']}/changes", 200) == {"items": [], "next_cursor": None}
    assert api.asked("GET", f"/sync-runs/{asked['id']}/failures", 200) == {"items": [], "next_cursor": None}
    for part in ("", "/changes", "/failures", "/events"):
        api.asked("GET", f"/sync-runs/999{part}", 404)
    for action in ("cancel", "undo", "apply", "failures/retry"):
        api.asked("POST", f"/sync-runs/999/{action}", 404)


def test_settings_are_saved_all_or_none(api: Api) -> None:
    api.asked("PUT", f"/portals/{PORTAL}/settings", 422, json={"two_way": True, "blanks": "maybe"})
    assert api.asked("GET", f"/portals/{PORTAL}/settings", 200)["two_way"] is False

    saved = api.asked("PUT", f"/portals/{PORTAL}/settings", 200, json={"two_way": True, "blanks": "erase"})

    assert (saved["two_way"], saved["blanks"], saved["deletions"]) == (True, "erase", "keep")
    assert api.asked("GET", f"/portals/{PORTAL}/settings", 200) == saved


def test_an_unknown_setting_is_refused_with_the_known_ones(api: Api) -> None:
    refused = api.asked("PUT", f"/portals/{PORTAL}/settings", 422, json={"colour": "red"})

    assert "conflict_policy" in refused["detail"]


def test_properties_come_as_the_portal_has_them(api: Api) -> None:
    names = {item["name"] for item in api.asked("GET", f"/portals/{PORTAL}/properties", 200)}

    assert {"firstname", "email", "phone"} <= names
    assert len(api.asked("GET", f"/portals/{PORTAL}/properties?refresh=true", 200)) >= len(names)


def test_a_portal_is_connected_by_token_and_disconnected(world: World, api: Api) -> None:
    api.asked("DELETE", f"/portals/{PORTAL}", 204)
    assert api.asked("GET", f"/portals/{PORTAL}", 200)["state"] == "disconnected"
    api.asked("POST", "/sync-runs", 404, json={})

    made = api.asked("POST", "/portals", 201, json={"token": STATIC_TOKEN})

    assert (made["portal_id"], made["state"]) == (PORTAL, "connected")
    assert STATIC_TOKEN not in api.get("/portals").text


def test_a_token_that_hubspot_refuses_connects_nothing(api: Api) -> None:
    refused = api.asked("POST", "/portals", 400, json={"token": "pat-wrong"})

    assert refused["title"] == "HubSpot refused the connection"
    assert "pat-wrong" not in json.dumps(refused)


def test_a_run_needs_no_body_and_takes_the_portal_as_text_or_number(api: Api) -> None:
    bare = api.asked("POST", "/sync-runs", 202)
    api.asked("POST", f"/sync-runs/{bare['id']}/cancel", 202)
    named = api.asked("POST", "/sync-runs", 202, json={"portal_id": int(PORTAL)})

    assert (bare["portal_id"], named["portal_id"]) == (PORTAL, PORTAL)


def test_the_api_describes_itself(api: Api) -> None:
    document = api.asked("GET", "http://mercuri.test/api/openapi.json", 200)

    assert document["openapi"].startswith("3.")
    assert "/api/v1/contacts" in document["paths"]
    assert not [path for path in document["paths"] if not path.startswith("/api/v1/")]
