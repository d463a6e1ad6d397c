"""How much a request may send."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: a body that is too large ends in 413, when it is announced and when it only turns out to be.

    `most_bytes` holds for every path but those of `more`, which have their own limit.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int, more: Mapping[str, int]) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self.more = more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what it sends."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.more.get(scope["path"], self.most_bytes)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        seen = int(announced) if announced.isdigit() and len(announced) < 19 else 0
        is_too_large = seen > limit
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if is_too_large or received > limit:
                raise HTTPException(413, f"A request may send {limit // 1024 // 1024} MB. Nothing was saved.")
            return message

        await self.app(scope, counted, send)
