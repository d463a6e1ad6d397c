"""Settings of an installation, read once from the environment (`MERCURI_…`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

#: `requests/seconds`, neither of them zero.
_LIMIT = r"[1-9][0-9]{0,8}/[1-9][0-9]{0,4}"


class Settings(BaseSettings):
    """What whoever runs the server decides; everything else is a setting of the workspace or the portal."""

    model_config = SettingsConfigDict(env_prefix="MERCURI_", frozen=True, extra="ignore")

    #: SQLAlchemy URL; empty means SQLite in the data dir.
    database_url: str = ""
    data_dir: Path = Path("~/.local/share/mercuri")
    #: Fernet keys, newest first, comma-separated; empty means the key file in the data dir.
    secret_key: SecretStr = SecretStr("")
    public_url: str = "http://127.0.0.1:8765"
    hubspot_api_url: str = "https://api.hubapi.com"
    hubspot_app_url: str = "https://app.hubspot.com"
    hubspot_client_id: str = ""
    hubspot_client_secret: SecretStr = SecretStr("")
    default_region: str = "US"
    #: `requests/seconds` towards one portal; empty means by kind of connection.
    burst_limit: Annotated[str, Field(pattern=f"^({_LIMIT})?$")] = ""
    search_limit: Annotated[str, Field(pattern=f"^{_LIMIT}$")] = "5/1"
    scheduler: str = "on"
    metrics_public: bool = False
    log_level: str = "INFO"

    @property
    def data_path(self) -> Path:
        """The data dir with `~` resolved."""
        return self.data_dir.expanduser()

    @property
    def url(self) -> str:
        """The database URL, SQLite in the data dir when none was given."""
        return self.database_url or f"sqlite:///{self.data_path / 'mercuri.db'}"

    @property
    def redirect_uri(self) -> str:
        """Where HubSpot sends a person back after they agreed (OAuth)."""
        return f"{self.public_url.rstrip('/')}/oauth/hubspot/callback"
