"""A client connected to a sandbox portal, all on one hand-set clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from tests.support.clock import Clock
from tests.support.hubspot import API, MemoryTokens
from tests.support.sandbox import SandboxTransport

from mercuri.hubspot.client import Client
from mercuri.hubspot.oauth import OAuth
from mercuri.hubspot.pacing import Limit, Pacer
from mercuri.hubspot.tokens import Tokens, TokenService
from mercuri.sandbox import Sandbox, Switches

PROPERTIES = ["firstname", "lastname", "email", "phone"]


@dataclass
class Desk:
    """A portal and a client connected to it, on one hand-set clock."""

    sandbox: Sandbox
    client: Client
    clock: Clock


def connected(
    *, contacts: int = 0, switches: dict[str, Any] | None = None, burst: Limit = Limit(1000, 1), **options: Any
) -> Desk:
    clock = Clock()
    sandbox = Sandbox(contacts=contacts, now=clock.now, switches=Switches().changed(**(switches or {})), **options)
    http = httpx.Client(transport=SandboxTransport(sandbox))
    oauth = OAuth(API, API, "sandbox-client", "sandbox-secret", "http://localhost/callback", http, clock.now)
    tokens = TokenService(MemoryTokens(Tokens(sandbox.static_token, kind="static")), oauth, clock.now, clock.sleep)
    pacer = Pacer(burst, Limit(1000, 1), share=100, now=clock.monotonic, wall=clock.now, sleep=clock.sleep)
    return Desk(sandbox, Client(http, API, tokens, pacer, portal="4242"), clock)
