"""What a database refuses -> a sentence for the person who has to mend it."""

from __future__ import annotations

import sqlite3

from mercuri.errors import Remedy, UserError


class Busy(UserError):
    """Another change held the rows too long; nothing was changed, and trying again will do."""

    remedy = Remedy.RETRY


_FULL = "The disk of the database is full. The last step was undone, nothing is half done. Free some space, then go on."
_BUSY = "The database is busy with another change. Nothing was changed; try again."
_GONE = "The database cannot be reached. Nothing was changed. Check that it runs, and MERCURI_DATABASE_URL."
_READ_ONLY = "The database can be read but not written. Nothing was changed. Check the rights of its file or role."
_BROKEN = "The database file is damaged or is no database. Nothing was changed. Restore a backup."

#: SQLite result codes (sqlite.org/rescode.html), the low byte.
_SQLITE = {
    5: (Busy, _BUSY),
    6: (Busy, _BUSY),
    8: (UserError, _READ_ONLY),
    10: (UserError, "The disk of the database gave an error. The last step was undone. Check the disk."),
    11: (UserError, _BROKEN),
    13: (UserError, _FULL),
    14: (
        UserError,
        "The database file cannot be opened. Nothing was changed. Check that its folder exists and may be written.",
    ),
    26: (UserError, _BROKEN),
}
#: PostgreSQL SQLSTATE, longest prefix first.
_POSTGRESQL = (
    ("53100", UserError, _FULL),
    ("53300", Busy, "The database has no free connection. Nothing was changed; try again, or raise max_connections."),
    ("40", Busy, _BUSY),
    ("55P03", Busy, _BUSY),
    ("57P", UserError, _GONE),
    ("08", UserError, _GONE),
    ("25006", UserError, _READ_ONLY),
    ("42501", UserError, "The database role may not do this. Nothing was changed. Give it rights on its own schema."),
    ("3D000", UserError, "The database named in MERCURI_DATABASE_URL does not exist. Create it first."),
    ("28", UserError, "The database refused the login of MERCURI_DATABASE_URL. Check its user and password."),
)


def in_plain_words(cause: BaseException | None, otherwise: Exception) -> Exception:
    """The `UserError` that stands for a driver's error, or `otherwise` when it can only be a mistake of ours."""
    if isinstance(cause, sqlite3.Error):
        kind, message = _SQLITE.get((getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF, (None, ""))
        return kind(message) if kind else otherwise
    state = getattr(cause, "sqlstate", None) or ""
    for prefix, refusal, message in _POSTGRESQL:
        if state.startswith(prefix):
            return refusal(message)
    if not state and type(cause).__name__ in ("OperationalError", "ConnectionTimeout"):
        return UserError(_GONE)  # no answer at all carries no state
    return otherwise
