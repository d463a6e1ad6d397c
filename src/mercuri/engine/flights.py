"""Several batches under way at once: their requests run in threads, everything else in the caller's.

A flight is a generator that gives requests, one at a time, and is handed their answers. What it does in between it does
alone, in the thread of the caller: no two flights decide or store at once, and only waiting for HubSpot is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeAlias, TypeVar

from mercuri.engine.work import Stopped
from mercuri.errors import AppError

T = TypeVar("T")

Flight: TypeAlias = Generator[Callable[[], Any], Any, T]


def ask(request: Callable[[], T]) -> Flight[T]:
    """The answer to a request, for `yield from`; raises what the request raises. No transaction may be open."""
    answer: T = yield request
    return answer


def fly(take_off: Callable[[], Flight[None] | None], most: int) -> None:
    """Do flights, at most so many at once, until `take_off` gives none and all have landed.

    `take_off` is asked again whenever a flight has got an answer. Once one fails, no other begins; those in the air go
    on to their end, since what they have sent would have to be looked for later. Then the first error is raised.
    """
    in_the_air: dict[Future[Any], Flight[None]] = {}
    failed: Exception | None = None
    with ThreadPoolExecutor(most) as pool:
        while True:
            while failed is None and len(in_the_air) < most and (flight := take_off()) is not None:
                failed = _go_on(flight, None, pool, in_the_air)
            if not in_the_air:
                break
            wait(in_the_air, return_when=FIRST_COMPLETED)
            for answer in [one for one in in_the_air if one.done()]:
                error = _go_on(in_the_air.pop(answer), answer, pool, in_the_air)
                failed = failed or error
    if failed is not None:
        raise failed


def _go_on(
    flight: Flight[None],
    answer: Future[Any] | None,
    pool: ThreadPoolExecutor,
    in_the_air: dict[Future[Any], Flight[None]],
) -> Exception | None:
    """Let a flight do what it can until its next request; the error that ended it, if one did."""
    try:
        in_the_air[pool.submit(_resumed(flight, answer))] = flight
    except StopIteration:
        return None
    except (AppError, Stopped) as error:
        return error
    return None


def _resumed(flight: Flight[None], answer: Future[Any] | None) -> Callable[[], Any]:
    if answer is None:
        return next(flight)
    error = answer.exception()
    return flight.send(answer.result()) if error is None else flight.throw(error)
