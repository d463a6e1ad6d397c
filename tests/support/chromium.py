"""A real browser on the real app: the app served on a free port, and Chromium looking at it.

Whatever the browser complains about (an error on the console, a breach of the content policy, a script that throws)
fails the test. Wait for what a person would see, or for `data-ready`, never for a silent network: events never end.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: How long an expectation may take, in milliseconds: the machine may be slow, and busy.
PATIENCE = 20_000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=PATIENCE)


@contextmanager
def served(make: Callable[[str], FastAPI]) -> Iterator[str]:
    """Serve an app on a free port of this machine; `make` is told the address, and makes the app for it."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        config = uvicorn.Config(
            make(address), log_level="warning", ws="none", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the app does not start"
                time.sleep(0.01)
            yield address
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that MERCURI_CHROMIUM names. Skips, and says so, where there is none."""
    binary = os.environ.get("MERCURI_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not binary or not Path(binary).exists():
        pytest.skip("BROWSER NOT TESTED: install chromium, or name one in MERCURI_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def a_page(browser: Browser, address: str, **context: Any) -> Iterator[Page]:
    """A page of a fresh profile; at the end, every complaint of the browser but about an answer 4xx fails the test."""
    profile = browser.new_context(base_url=address, **{"viewport": {"width": 1280, "height": 900}, **context})
    profile.set_default_timeout(PATIENCE)
    page = profile.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda asked: _note_foreign(asked.url, address, complaints))
    try:
        yield page
        assert [said for said in complaints if not _is_refusal(said)] == []
    finally:
        profile.close()


def _note_foreign(url: str, address: str, complaints: list[str]) -> None:
    if not url.startswith((address, "data:", "blob:")):
        complaints.append(f"a request left for {url}")


def _is_refusal(said: str) -> bool:
    """The browser and htmx report every answer 4xx, also those that a test asks for."""
    return "the server responded with a status of 4" in said or "Response Status Error Code 4" in said


def press(page: Page, key: str) -> None:
    """Press a key as a person does: when the page is there, not while its scripts are still on their way."""
    expect(page.locator("html")).to_have_attribute("data-scripts", "on")
    page.keyboard.press(key)


def log_in(page: Page, email: str, password: str) -> None:
    """Log in as a person does, and wait for the contacts."""
    page.goto("/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#list[data-ready]")).to_be_visible()
