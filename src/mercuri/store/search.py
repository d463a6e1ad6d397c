"""Search in contacts: the text that is searched, and how each database finds it.

A contact's text is its folded names, e-mails and digits, each word after two spaces. So three characters or more are
found anywhere, and one or two at the start of a word only, by the same index of trigrams: "a" is looked for as
"  a". SQLite has FTS5; contacts with an id beyond `search_state.upto` are not in it yet, since a bulk load adds many at
a time. PostgreSQL has pg_trgm, or reads every contact where that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mercuri.core.contact import Address
from mercuri.core.normalise import fold_name
from mercuri.store.database import Tx

#: Longest part of one value that is searched.
_WORD_LIMIT = 200
_NOT_DIGIT = re.compile(r"\D")
_PHONE_LIKE = re.compile(r"[\d\s()+./-]*\d[\d\s()+./-]*")
_LIKE_SPECIAL = re.compile(r"([\\%_])")


def text_of(name: str, addresses: Iterable[Address]) -> str:
    """The text under which a contact is found; `name` is folded."""
    words = name.split()
    for address in addresses:
        if address.kind == "phone":
            words += _digits(address)
        else:
            words.append((address.normal or fold_name(address.raw[:_WORD_LIMIT]).replace(" ", ""))[:_WORD_LIMIT])
    return "".join(["  " + word for word in dict.fromkeys(words) if word])


def _digits(address: Address) -> list[str]:
    typed = _NOT_DIGIT.sub("", address.raw[:_WORD_LIMIT])
    if not address.normal:
        return [typed]
    digits = address.normal[1:]
    return [digits] if typed in digits else [digits, typed]


def needles(q: str) -> list[str]:
    """What must be in a contact's text for it to match what a person typed; empty when they typed nothing.

    >>> needles("Ana du"), needles("+44 7911"), needles("b")
    (['ana', ' du'], ['447911'], ['  b'])
    """
    q = q[:_WORD_LIMIT]
    if _PHONE_LIKE.fullmatch(q.strip()):
        digits = _NOT_DIGIT.sub("", q)
        words = [digits.removeprefix("00") or digits]
    else:
        words = fold_name(q).split()
    return [word if len(word) > 2 else word.rjust(3) for word in words]


def condition(tx: Tx, found: list[str], params: dict[str, Any]) -> str:
    """SQL over `contact` that holds for a match, read from the row itself; fills in the parameters."""
    parts = []
    for number, needle in enumerate(found):
        name = f"needle{number}"
        if tx.is_sqlite:
            params[name] = needle
            parts.append(f"instr(contact.search, :{name}) > 0")
        else:
            params[name] = "%" + _LIKE_SPECIAL.sub(r"\\\1", needle) + "%"
            parts.append(f"contact.search LIKE :{name}")
    return " AND ".join(parts)


def candidates(tx: Tx, found: list[str], params: dict[str, Any]) -> str:
    """SQL that gives the ids of all contacts that may match; a candidate must still be judged by `condition`."""
    if not tx.is_sqlite:
        return f"SELECT contact.id FROM contact WHERE contact.workspace_id = :ws AND {condition(tx, found, params)}"
    trigrams = dict.fromkeys(needle[i : i + 3] for needle in found for i in range(len(needle) - 2))
    params["trigrams"] = " ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)
    return (
        "SELECT rowid AS id FROM contact_fts WHERE contact_fts MATCH :trigrams"
        " UNION ALL SELECT id FROM contact WHERE id > (SELECT upto FROM search_state)"
    )


def index_new(tx: Tx, *, at_least: int = 1) -> None:
    """Add new contacts to the search index, unless they are fewer than `at_least`."""
    if not tx.is_sqlite:
        return
    cursor = tx.raw()
    (upto,) = cursor.execute("SELECT upto FROM search_state").fetchone()
    (last,) = cursor.execute("SELECT coalesce(max(id), 0) FROM contact").fetchone()
    if last - upto >= at_least:
        cursor.execute("INSERT INTO contact_fts (rowid, search) SELECT id, search FROM contact WHERE id > ?", (upto,))
        cursor.execute("UPDATE search_state SET upto = ?", (last,))


def index_missing(tx: Tx) -> None:
    """End a bulk load: index what it left out, and let PostgreSQL's planner know of it at once.

    SQLite's index is left in one part. Else every 64th edit after a load merges some of the load's parts, for 20 ms.
    """
    index_new(tx)
    if tx.is_sqlite:
        tx.raw().execute("INSERT INTO contact_fts (contact_fts) VALUES ('optimize')")
    else:
        tx.execute("ANALYZE contact, contact_address, link")
