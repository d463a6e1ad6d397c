"""Run Alembic on an open transaction, wherever the package is installed."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection

from mercuri.errors import UserError


def upgrade(conn: Connection) -> None:
    """Run every step that the database has not seen. Raises UserError when it has seen one that we do not know."""
    config = _config()
    config.attributes["connection"] = conn
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise UserError(
            "This database was made by a newer version of Mercuri. Nothing was changed. "
            "Install that version, or restore a backup."
        ) from error


def head() -> str | None:
    """The newest step."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
