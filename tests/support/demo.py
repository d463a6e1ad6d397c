"""The demo as a person starts it, in a process of its own: sandbox, OAuth, first sync, worker and web app."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mercuri.sandbox.api import STATIC_TOKEN

#: How long a start may take, in seconds: the machine may be slow, and busy.
_START = 90.0


@dataclass(frozen=True)
class Demo:
    """A running demo. `hubspot` is the sandbox's address, for acting as HubSpot's user."""

    url: str
    hubspot: str
    email: str
    password: str
    home: Path

    def as_hubspot(self, path: str, **body: object) -> dict[str, Any]:
        """Ask the sandbox's admin API; the answer."""
        answer = httpx.post(f"{self.hubspot}/sandbox/{path}", json=body, timeout=20)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def property_of(self, record: str, name: str) -> str | None:
        """A property of a record, read as any app of HubSpot's reads it."""
        answer = httpx.get(
            f"{self.hubspot}/crm/v3/objects/contacts/{record}",
            params={"properties": name},
            headers={"Authorization": f"Bearer {STATIC_TOKEN}"},
            timeout=20,
        )
        answer.raise_for_status()
        value: str | None = answer.json()["properties"].get(name)
        return value


@contextlib.contextmanager
def a_demo(home: Path, contacts: int = 60) -> Iterator[Demo]:
    """Start the demo in an empty folder, wait until it serves, and end it as Ctrl-C does."""
    port, log = _free_port(), home / "demo.log"
    environment = {**os.environ, "MERCURI_DATA_DIR": str(home / "data"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "mercuri", "demo", "--port", str(port), "--contacts", str(contacts)]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        text = _told(process, log)
        login = re.search(r"log in as\s+(\S+)\s+password\s+(\S+)", text)
        hubspot = re.search(r"HubSpot\s+(http\S+)", text)
        assert login, text
        assert hubspot, text
        yield Demo(f"http://127.0.0.1:{port}", hubspot[1], login[1], login[2], home)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _told(process: subprocess.Popen[bytes], log: Path) -> str:
    """What the demo printed once it serves."""
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        text = log.read_text()
        if re.search(r"HubSpot\s+http\S+\s", text):
            return text
        time.sleep(0.1)
    raise AssertionError(f"the demo did not start:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
