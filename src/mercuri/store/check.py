"""What `mercuri db check` looks at."""

from __future__ import annotations

from mercuri.store.database import Tx


def problems(tx: Tx) -> list[str]:
    """Sentences about what is wrong; none when all is well."""
    found = _damage(tx) if tx.is_sqlite else _missing_extension(tx)
    lost = tx.execute(
        "SELECT count(*) FROM contact_address a WHERE NOT EXISTS"
        " (SELECT 1 FROM contact c WHERE c.id = a.contact_id AND c.workspace_id = a.workspace_id)"
    ).scalar_one()
    return [*found, f"{lost} addresses belong to no contact."] if lost else found


def _damage(tx: Tx) -> list[str]:
    return [f"The file is damaged: {row[0]}." for row in tx.execute("PRAGMA quick_check(20)") if row[0] != "ok"]


def _missing_extension(tx: Tx) -> list[str]:
    if tx.execute("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'").scalar_one():
        return []
    return ["The extension pg_trgm is missing: searches read every contact. Ask for CREATE EXTENSION pg_trgm."]
