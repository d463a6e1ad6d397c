"""The one place where the concrete parts meet."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from mercuri.config import Settings
from mercuri.core.contact import WorkspaceId
from mercuri.core.settings import WorkspaceSettings
from mercuri.engine.app import App
from mercuri.errors import UserError
from mercuri.hubspot.transport import open_http
from mercuri.store import vault, workspaces
from mercuri.store.database import ANY, Database


@dataclass(frozen=True)
class Services:
    """The running program's parts; `close` ends them."""

    app: App
    settings: Settings
    default_workspace: WorkspaceId

    def close(self) -> None:
        """Let go of connections."""
        self.app.http.close()
        self.app.db.close()


#: Objects made until Python looks for cycles. A load makes many that hold none: by default the search takes a tenth of
#: its time.
_YOUNG = 20_000


def build(settings: Settings, wake: Callable[[], None] = lambda: None) -> Services:
    """Make the data dir, the key and the database where they are missing, and put the parts together.

    Raises UserError when the data dir or the database cannot be used, or the key is not the database's.
    """
    try:
        settings.data_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The data dir {settings.data_path} cannot be made: {error.strerror}.") from error
    gc.set_threshold(_YOUNG, 10, 10)
    keys = vault.load_or_make_key(settings)
    database = Database.open(settings.url)
    try:
        with database.write(ANY) as tx:
            vault.check_key(tx, keys)
            known = workspaces.all(tx)
            first = WorkspaceSettings(default_region=settings.default_region)
            default = known[0].id if known else workspaces.create(tx, "Contacts", first, _now())
    except UserError:
        database.close()
        raise
    return Services(App(settings, database, keys, open_http(), _now, wake), settings, default)


def _now() -> datetime:
    return datetime.now(UTC)
