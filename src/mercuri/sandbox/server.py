"""The sandbox over HTTP: a small HTTP/1.1 server on asyncio, fast, and able to cut a connection on demand."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from http import HTTPStatus

from mercuri.sandbox.answers import Answer
from mercuri.sandbox.api import Sandbox

_MOST_BODY_BYTES = 16 * 1024 * 1024
_MOST_HEAD_BYTES = 256 * 1024


class _Connection(asyncio.Protocol):
    """One kept-alive connection: requests are answered one after the other, each after the sandbox's latency."""

    def __init__(self, sandbox: Sandbox, open_transports: set[asyncio.Transport]) -> None:
        self._sandbox = sandbox
        self._open = open_transports
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._busy = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._open.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        """Answer the next complete request in the buffer, if there is one."""
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                self._hang_up()
            return
        lines = self._buffer[:head_end].decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        body = self._body(head_end + 4, headers)
        if body is None:
            return
        self._busy = True
        method, _, target = lines[0].partition(" ")
        path, _, query = target.rpartition(" ")[0].partition("?")
        answer = self._sandbox.handle(method, path, query, headers, body)
        close = headers.get("connection", "").lower() == "close"
        delay = self._sandbox.latency_ms / 1000
        if delay and not path.startswith("/sandbox/"):
            self._loop.call_later(delay, self._send, method, answer, close)
        else:
            self._send(method, answer, close)

    def _body(self, start: int, headers: dict[str, str]) -> bytes | None:
        """The request's body, taken out of the buffer; None while it is not all there."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(start)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _MOST_BODY_BYTES:
            self._hang_up()
            return None
        end = start + int(length)
        if len(self._buffer) < end:
            if (
                headers.get("expect", "").lower() == "100-continue"
                and len(self._buffer) == start
                and self._transport is not None
            ):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body, self._buffer = self._buffer[start:end], self._buffer[end:]
        return body

    def _chunks(self, start: int) -> bytes | None:
        parts = []
        while True:
            line_end = self._buffer.find(b"\r\n", start)
            if line_end < 0:
                return None
            size = int(self._buffer[start:line_end].split(b";")[0], 16)
            data_end = line_end + 2 + size
            if len(self._buffer) < data_end + 2:
                return None
            parts.append(self._buffer[line_end + 2 : data_end])
            start = data_end + 2
            if size == 0:
                self._buffer = self._buffer[start:]
                return b"".join(parts)

    def _send(self, method: str, answer: Answer, close: bool) -> None:
        if answer.fate == "timeout":
            return
        if self._transport is None or answer.fate == "cut":
            self._hang_up()
            return
        head = _head(answer, close)
        body = b"" if method == "HEAD" else answer.body
        if answer.fate == "truncated":
            self._transport.write(head + body[: len(body) // 2])
            self._transport.close()
            return
        self._transport.write(head + body)
        if close:
            self._transport.close()
            return
        self._busy = False
        if self._buffer:
            self._next()

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _head(answer: Answer, close: bool) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in answer.headers.items())]
    if answer.status != 204:
        lines.append(f"content-length: {len(answer.body)}")
    if close:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


@dataclass(slots=True)
class Running:
    """A sandbox that serves in a thread of this process."""

    url: str
    sandbox: Sandbox
    _loop: asyncio.AbstractEventLoop
    _thread: threading.Thread
    _stop: asyncio.Event

    def stop(self) -> None:
        """Close every connection and wait for the thread to end."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


def serve(sandbox: Sandbox, host: str, port: int) -> None:
    """Serve until interrupted.

    Raises OSError when the port is taken.
    """

    async def forever() -> None:
        server = await _listen(sandbox, host, port, set())
        async with server:
            await server.serve_forever()

    asyncio.run(forever())


def start_in_thread(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> Running:
    """Serve in a thread; port 0 takes a free one. The sandbox's `public_url` becomes the address it is reached at.

    Raises OSError when the port is taken.
    """
    ready = threading.Event()
    made: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []
    failed: list[OSError] = []

    async def run() -> None:
        stop = asyncio.Event()
        connections: set[asyncio.Transport] = set()
        try:
            server = await _listen(sandbox, host, port, connections)
        except OSError as error:
            failed.append(error)
            ready.set()
            return
        made.append((asyncio.get_running_loop(), stop, server.sockets[0].getsockname()[1]))
        ready.set()
        await stop.wait()
        server.close()
        for each in list(connections):
            each.abort()
        await server.wait_closed()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="sandbox-server", daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise failed[0]
    loop, stop, chosen = made[0]
    sandbox.public_url = f"http://{host}:{chosen}"
    return Running(sandbox.public_url, sandbox, loop, thread, stop)


async def _listen(sandbox: Sandbox, host: str, port: int, connections: set[asyncio.Transport]) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: _Connection(sandbox, connections), host, port)
