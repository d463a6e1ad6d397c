"""Batches of a push under way at once, in one thread: which request is done next is drawn from the history's seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

from tests.property.machine.histories import Setup

from mercuri.engine import flights, push


class _Later:
    """A thread pool that does nothing until someone waits, and then one request of those that are under way."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._requests: dict[Future[Any], Callable[[], Any]] = {}

    def __enter__(self) -> _Later:
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.clear()

    def submit(self, request: Callable[[], Any]) -> Future[Any]:
        """As an executor's."""
        answer: Future[Any] = Future()
        self._requests[answer] = request
        return answer

    def wait(self, answers: Collection[Future[Any]], return_when: str) -> None:
        """As `concurrent.futures.wait`."""
        chosen = self._chance.choice(list(answers))
        try:
            chosen.set_result(self._requests.pop(chosen)())
        except BaseException as error:  # noqa: BLE001  # as an executor does
            chosen.set_exception(error)


@contextmanager
def in_any_order(setup: Setup) -> Iterator[None]:
    """Batches as small as the history says, done in an order of its own."""
    later = _Later(Random(setup.order))
    with (
        patch.object(push, "BATCH", setup.batch),
        patch.object(flights, "ThreadPoolExecutor", lambda _: later),
        patch.object(flights, "wait", later.wait),
    ):
        yield
