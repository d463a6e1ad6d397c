"""Statements that are made once and run often: compiled at their first use, then handed to the driver as text.

Building an expression and finding its compiled form costs SQLAlchemy ten times what SQLite needs to run it. A module
of the store keeps the statements of its hot paths as constants, their values as `bindparam`s.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import in_op
from sqlalchemy.sql.visitors import replacement_traverse

#: The workspace of the transaction, in every statement that is made once.
WORKSPACE: sa.BindParameter[Any] = sa.bindparam("workspace")


class Rows:
    """What a statement found, all of it; rows are named tuples. `rowcount` is how many rows it changed."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows, self.rowcount = rows, rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        """Every row."""
        return self._rows

    def first(self) -> Any:
        """The first row, None without any."""
        return self._rows[0] if self._rows else None

    def scalar(self) -> Any:
        """The first value of the first row, None without any."""
        return self._rows[0][0] if self._rows else None

    def scalars(self) -> list[Any]:
        """The first value of every row."""
        return [row[0] for row in self._rows]


class _Compiled(NamedTuple):
    text: str
    names: Sequence[str] | None  # of positional parameters, in order; None where the driver takes names
    constants: Mapping[str, Any]
    row: Callable[[Any], Any]


#: What a statement is made of.
Made = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete


class Statement:
    """A statement whose values are `bindparam`s; `lists` names those that stand for an IN list.

    On PostgreSQL a list is one parameter, an array: hundreds of single ones would be bound and planned each time.
    """

    def __init__(self, made: Made, *, lists: Sequence[str] = ()) -> None:
        self._made = made
        self._lists = lists
        self._compiled: dict[tuple[Any, ...], _Compiled] = {}

    def run(self, driver: Any, dialect: Dialect, params: Mapping[str, Any]) -> Rows:
        """Run it on a driver's connection, inside its transaction."""
        if dialect.name == "sqlite":
            lists = {name: _padded(params[name]) for name in self._lists}
            singly = {f"{name}_{n}": value for name, values in lists.items() for n, value in enumerate(values, 1)}
        else:
            lists, singly = {}, {name: list(params[name]) for name in self._lists}
        compiled = self._for(dialect, params, lists)
        given = {**params, **compiled.constants, **singly}
        names = compiled.names
        cursor = driver.execute(compiled.text, given if names is None else [given[name] for name in names])
        rows = [] if cursor.description is None else list(map(compiled.row, cursor.fetchall()))
        return Rows(rows, cursor.rowcount)

    def run_each(self, driver: Any, dialect: Dialect, sets: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each set of parameters, all with the same names; without lists and without an answer."""
        compiled = self._for(dialect, sets[0], {})
        names = compiled.names
        given = [{**compiled.constants, **params} for params in sets]
        rows = given if names is None else [[params[name] for name in names] for params in given]
        driver.cursor().executemany(compiled.text, rows)

    def _for(self, dialect: Dialect, params: Mapping[str, Any], lists: Mapping[str, Sequence[Any]]) -> _Compiled:
        """The form for a dialect and, where their values are single parameters, for lists of these lengths."""
        key = (dialect.name, *map(len, lists.values()))
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = self._compile(dialect, {**params, **lists})
        return found

    def _compile(self, dialect: Dialect, params: Mapping[str, Any]) -> _Compiled:
        made: sa.ClauseElement = self._made
        if dialect.name != "sqlite":
            made = cast(sa.ClauseElement, replacement_traverse(made, {}, self._as_array))
        compiled = made.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        expanded = compiled.construct_expanded_state(params, escape_names=False)
        names = expanded.positiontup if compiled.positional else None
        return _Compiled(
            expanded.statement, names, self._constants(expanded.parameters, params), _row_maker(self._made)
        )

    def _as_array(self, element: Any, **kw: Any) -> Any:
        """`x IN (a list)` as a comparison with one array, None for any other part."""
        if not isinstance(element, sa.BinaryExpression) or not isinstance(element.right, sa.BindParameter):
            return None
        if element.right.key not in self._lists:
            return None
        array: sa.BindParameter[Any] = sa.bindparam(element.right.key, type_=ARRAY(element.left.type))
        return element.left == sa.any_(array) if element.operator is in_op else element.left != sa.all_(array)

    def _constants(self, all_: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the statement itself holds: all but those that were given, and those of the lists."""
        listed = {f"{name}_{number}" for name in self._lists for number in range(1, len(params[name]) + 1)}
        return {name: value for name, value in all_.items() if name not in params and name not in listed}


def _row_maker(made: Made) -> Callable[[Any], Any]:
    """Driver's row -> named tuple, with booleans where the column has them: SQLite knows numbers only."""
    columns = list(made.exported_columns)
    if not columns:
        return tuple
    named: Any = namedtuple("Row", [str(column.key) for column in columns], rename=True)  # type: ignore[misc]  # columns are known late
    row: Callable[[Any], Any] = named._make
    booleans = [number for number, column in enumerate(columns) if isinstance(column.type, sa.Boolean)]
    if not booleans:
        return row

    def with_booleans(values: Any) -> Any:
        parts = list(values)
        for number in booleans:
            parts[number] = None if parts[number] is None else bool(parts[number])
        return row(parts)

    return with_booleans


def _padded(values: Sequence[Any]) -> list[Any]:
    """The values of an IN list, the last one repeated up to a power of two: few lengths are ever compiled."""
    length = len(values)
    listed = list(values)
    return listed + listed[-1:] * ((1 << (length - 1).bit_length()) - length) if length else listed
