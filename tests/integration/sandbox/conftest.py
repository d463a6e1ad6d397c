"""A portal with a hand-set clock, and a plain HTTP client that speaks to it without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.support.clock import Clock
from tests.support.sandbox import SandboxTransport

from mercuri.sandbox import Sandbox, Switches


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    """An empty portal that is kind where kindness is a matter of chance: single tests turn one switch at a time."""
    return Sandbox(now=clock.now, switches=Switches(empty_property="null", error_fields="all", bumps_after_create=0))


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Calls of a static token, below the contacts path of 2026-09."""
    yield from _client(sandbox, sandbox.static_token)


@pytest.fixture
def new_contact(api: httpx.Client) -> Callable[..., str]:
    """Create a contact by API; its id."""

    def create(**properties: str) -> str:
        answer = api.post("", json={"properties": {"firstname": "Ana", **properties}})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return create


def _client(sandbox: Sandbox, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=SandboxTransport(sandbox),
        base_url="http://sandbox/crm/objects/2026-09/contacts",
        headers={"authorization": f"Bearer {token}"},
    ) as client:
        yield client
