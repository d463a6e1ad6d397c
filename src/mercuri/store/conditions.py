"""Conditions on custom fields and on times, as SQL over `contact`, for the lists of contacts.

No index knows the values of custom fields. The contacts that meet conditions on them are found by reading the JSON of
all of them once as text, which is quick, and parsing it for those only whose text has what is looked for. Letters A to
Z match in either case, on both databases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from mercuri.store.database import Tx
from mercuri.store.jsons import dumps_text
from mercuri.store.times import to_ms

_LIKE_SPECIAL = re.compile(r"([\\%_])")


@dataclass(frozen=True, slots=True)
class FieldTest:
    """What a custom field must be. `name` is without the `custom.` prefix: letters, digits and underscores."""

    name: str
    how: Literal["is", "contains", "filled", "empty"]
    value: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment on, until before another one; None is open."""

    start: datetime | None = None
    end: datetime | None = None


def within(column: str, span: Span, params: dict[str, Any]) -> str:
    """SQL that holds for contacts whose time lies in the span."""
    parts = []
    for sign, moment, name in ((">=", span.start, f"{column}_from"), ("<", span.end, f"{column}_until")):
        if moment is not None:
            params[name] = to_ms(moment)
            parts.append(f"contact.{column} {sign} :{name}")
    return " AND ".join(parts) or "1 = 1"


def meets(tx: Tx, tests: Sequence[FieldTest], params: dict[str, Any]) -> str:
    """SQL that holds for contacts that meet all tests, the cheap look at the text of the JSON first."""
    sieves = [_text_has(tx, number, test, params) for number, test in enumerate(tests) if test.how != "empty"]
    return " AND ".join([*sieves, *(_value_is(tx, number, test, params) for number, test in enumerate(tests))])


def _text_has(tx: Tx, number: int, test: FieldTest, params: dict[str, Any]) -> str:
    """What the JSON must have in it; it may have it elsewhere, too."""
    name, value = dumps_text(test.name), dumps_text(test.value)
    text = {"is": f"{name}:{value}", "contains": value[1:-1], "filled": f'{name}:"'}[test.how]
    params[f"text{number}"] = f"%{_escaped(text)}%"
    return _alike(tx, "contact.custom", f"text{number}")


def _value_is(tx: Tx, number: int, test: FieldTest, params: dict[str, Any]) -> str:
    params[f"name{number}"] = f"$.{test.name}" if tx.is_sqlite else test.name
    read = (
        f"json_extract(contact.custom, :name{number})" if tx.is_sqlite else f"contact.custom::jsonb ->> :name{number}"
    )
    value = f"coalesce({read}, '')"
    if test.how in ("filled", "empty"):
        return f"{value} {'<>' if test.how == 'filled' else '='} ''"
    wanted = _escaped(test.value)
    params[f"value{number}"] = wanted if test.how == "is" else f"%{wanted}%"
    return _alike(tx, value, f"value{number}")


def _alike(tx: Tx, value: str, name: str) -> str:
    """SQLite's LIKE takes A for a; PostgreSQL's ILIKE does the same where a language's rules are put aside."""
    if tx.is_sqlite:
        return f"{value} LIKE :{name} ESCAPE '\\'"
    return f'{value} COLLATE "C" ILIKE :{name}'


def _escaped(text: str) -> str:
    return _LIKE_SPECIAL.sub(r"\\\1", text)
