"""Paging by row id: a cursor is the id of the last row of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar

from fastapi import Query

from mercuri.web.api.problems import ApiProblem

#: Most rows of one page.
PAGE = 200

Limit = Annotated[int, Query(ge=1, le=PAGE)]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before")]


class _Row(Protocol):
    @property
    def id(self) -> int | None: ...


R = TypeVar("R", bound=_Row)


def starting_at(cursor: str | None) -> int | None:
    """The row id that a cursor names. Raises a 400 problem for a text that is none of ours."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise ApiProblem(400, "Invalid request", "This cursor is not one that a page gave. Start without a cursor.")
    return int(cursor)


def following(rows: Sequence[R], limit: int) -> tuple[Sequence[R], str | None]:
    """The page of a read of `limit + 1` rows, and the cursor of the next one where there is one."""
    items = rows[:limit]
    return items, str(items[-1].id) if len(rows) > limit else None
