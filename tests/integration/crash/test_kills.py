"""Real processes killed with SIGKILL at moments of chance: everything arrives once, and nothing is written twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from tests.support.cli import a_terminal
from tests.support.crash import PATIENCE, a_story, mercuri, survive
from tests.support.sandbox import running_sandbox

pytestmark = pytest.mark.crash


def test_processes_killed_again_and_again_lose_nothing_and_double_nothing(tmp_path: Path, database_url: str) -> None:
    with running_sandbox(contacts=120) as hubspot:
        terminal = a_terminal(tmp_path / "home", hubspot, MERCURI_DATABASE_URL=database_url)

        story = survive(terminal, hubspot, kills=5, seed=7)

    assert story.killed == 5


def test_a_process_killed_with_several_batches_under_way_writes_each_edit_once(
    tmp_path: Path, database_url: str
) -> None:
    with running_sandbox(contacts=350) as hubspot:
        terminal = a_terminal(tmp_path / "home", hubspot, MERCURI_DATABASE_URL=database_url)
        terminal.run("connect", "--token", hubspot.sandbox.static_token)
        terminal.run("settings", "set", "two_way", "true")
        terminal.run("sync")
        with a_story(terminal, hubspot) as story:
            story.edit_all("Edited")
            hubspot.sandbox.latency_ms = 400
            story.kill_when(lambda: story.open_intents() > 200)

            hubspot.sandbox.latency_ms = 0
            story.finish()

        for record in hubspot.sandbox.portal.records.values():
            assert [entry.value for entry in record.entries("lastname")].count("Edited") == 1
        hubspot.sandbox.reset_counts()
        terminal.run("sync")
        assert hubspot.sandbox.counts()["write"] == 0


def test_a_second_process_joins_the_run_of_the_first(tmp_path: Path) -> None:
    with running_sandbox(contacts=400) as hubspot:
        terminal = a_terminal(tmp_path / "home", hubspot)
        terminal.run("connect", "--token", hubspot.sandbox.static_token)
        hubspot.sandbox.latency_ms = 100

        with mercuri(terminal, "sync") as first, mercuri(terminal, "sync") as second:
            codes = first.wait(PATIENCE), second.wait(PATIENCE)

        hubspot.sandbox.latency_ms = 0
        assert codes == (0, 0)
        done = terminal.json("runs", "list")
        assert sum(run["counts"]["created"] for run in done) == terminal.json("contacts", "list")["total"] == 400
        assert all(run["state"] == "done" for run in done)


def test_a_wrong_secret_key_refuses_to_start_and_touches_nothing(tmp_path: Path) -> None:
    with running_sandbox(contacts=3) as hubspot:
        right = a_terminal(tmp_path / "home", hubspot)
        right.run("connect", "--token", hubspot.sandbox.static_token)
        wrong = a_terminal(tmp_path / "home", hubspot, MERCURI_SECRET_KEY=Fernet.generate_key().decode())

        for words in (("sync",), ("serve",), ("worker",)):
            refusal = wrong.run(*words, code=1).stderr

            assert "key" in refusal
            assert "\n" not in refusal.strip()
        assert right.json("sync")["state"] == "done"
