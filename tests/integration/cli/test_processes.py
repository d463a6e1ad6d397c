"""The program as real processes: demo, serve, Ctrl-C, a worker that takes a run over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.cli import Terminal, a_terminal
from tests.support.sandbox import running_sandbox

from mercuri.hubspot.webhooks import sign_v3
from mercuri.sandbox import Running

pytestmark = pytest.mark.e2e


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(terminal: Terminal, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`mercuri` as a process of its own; it is ended with the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", "mercuri", *words],
        env={**os.environ, **terminal.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def until(claim: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that another process brings about."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def asked(hubspot: Running) -> int:
    """How many requests the sandbox answered."""
    return sum(hubspot.sandbox.counts().values())


def answers(url: str) -> bool:
    """Whether a web app is ready at this address."""
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_demo_connects_syncs_and_starts_again_without_importing_twice(terminal: Terminal) -> None:
    words = ("demo", "--no-serve", "--contacts", "40", "--port", str(free_port()))

    outputs = []
    for _ in range(2):
        with process(terminal, *words) as child:
            outputs.append(child.communicate(timeout=120)[1])
            assert child.returncode == 0, outputs[-1]

    password = (terminal.home / "password").read_text().strip()
    assert [password in output for output in outputs] == [True, False]
    assert (terminal.home / "password").stat().st_mode & 0o777 == 0o600
    assert [run["counts"]["created"] for run in terminal.json("runs", "list")] == [40]
    assert terminal.json("portals", "list")[0]["kind"] == "oauth"
    assert terminal.json("contacts", "list")["total"] == 40


def test_serve_answers_works_and_stops(terminal: Terminal) -> None:
    terminal.connect()
    token = terminal.json("token", "create", "script")["token"]
    url = f"http://127.0.0.1:{free_port()}"
    with process(terminal, "serve", "--port", url.rpartition(":")[2]) as child:
        until(lambda: answers(f"{url}/readyz"))
        with httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        ) as api:
            run = api.post("/sync-runs", json={}).json()
            until(lambda: api.get(f"/sync-runs/{run['id']}").json()["state"] == "done")
            assert api.get("/contacts").json()["total"] == 30

            # A second terminal finds the worker alive, and hands its run over.
            handed = terminal.json("sync")
            assert (handed["state"], handed["trigger"]) == ("done", "cli")

        # The same worker twice would do every run twice.
        second = terminal.run("serve", "--port", str(free_port()), code=1).stderr
        assert "--no-worker" in second
        assert "Mercuri is at" not in second
        assert "setup" not in second
        assert "--no-worker" in terminal.run("worker", code=1).stderr

        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=30)

    assert (child.returncode, out) == (0, "")
    assert f"Mercuri is at {url} " in err
    assert f"{url}/setup?code=" in err
    assert "Traceback" not in err
    assert token not in err


def test_a_port_that_is_taken_is_a_sentence(terminal: Terminal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        refused = terminal.run("serve", "--port", port, "--no-worker", code=1).stderr
        assert "--port" in refused
        assert "Mercuri is at" not in refused
        assert "setup" not in refused
        assert "--port" in terminal.run("sandbox", "--port", port, "--contacts", "0", code=1).stderr


def test_ctrl_c_stops_a_sync_cleanly_and_the_next_one_completes_it(tmp_path: Path) -> None:
    with running_sandbox(contacts=3000) as hubspot:
        terminal = a_terminal(tmp_path / "home", hubspot)
        terminal.connect()
        hubspot.sandbox.latency_ms = 150
        with process(terminal, "sync", "--json") as child:
            until(lambda: asked(hubspot) > 5)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        assert child.returncode == 1
        assert '"state": "cancelled"' in out, err
        assert "Traceback" not in err
        hubspot.sandbox.latency_ms = 0

        done = terminal.json("sync")

        assert done["state"] == "done"
        assert terminal.json("contacts", "list")["total"] == 3000


def test_a_killed_sync_goes_on_where_it_was(tmp_path: Path) -> None:
    with running_sandbox(contacts=2000) as hubspot:
        terminal = a_terminal(tmp_path / "home", hubspot)
        terminal.connect()
        hubspot.sandbox.latency_ms = 150
        with process(terminal, "sync") as child:
            until(lambda: asked(hubspot) > 8)
            child.kill()
            child.communicate()

        (left,) = terminal.json("runs", "list")
        loaded = terminal.json("contacts", "list")["total"]
        hubspot.sandbox.latency_ms = 0
        went_on = terminal.run("sync", "--json")

        assert left["state"] == "running"
        assert loaded == left["counts"]["created"]
        assert json.loads(went_on.stdout)["id"] == left["id"]
        assert json.loads(went_on.stdout)["counts"]["created"] == 2000
        # Its process is certainly dead: nobody waits for the end of its lease.
        assert "Another process has this run" not in went_on.stderr


def test_a_call_of_hubspots_that_was_answered_outlives_kill_9(terminal: Terminal, hubspot: Running) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/webhooks/hubspot"
    terminal.connect()
    terminal.run("sync")
    record = hubspot.sandbox.contact_ids()[0]
    hubspot.sandbox.update(record, {"firstname": "Changed"})
    body, at = (
        json.dumps([{"subscriptionType": "contact.creation", "portalId": 4242, "objectId": int(record)}]).encode(),
        str(int(time.time() * 1000)),
    )
    headers = {
        "X-HubSpot-Signature-v3": sign_v3("sandbox-secret", "POST", url, body, at),
        "X-HubSpot-Request-Timestamp": at,
    }

    with process(terminal, "serve", "--no-worker", "--port", str(port)) as child:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        answer = httpx.post(url, content=body, headers=headers, trust_env=False)
        child.send_signal(signal.SIGKILL)
        child.wait()
    with process(terminal, "worker"):
        until(lambda: terminal.json("runs", "list")[0]["trigger"] == "webhook")
        until(lambda: terminal.json("runs", "list")[0]["state"] == "done")

    assert answer.status_code == 204
    assert terminal.json("runs", "list")[0]["counts"]["fetched"] == 1
