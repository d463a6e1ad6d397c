"""Go through OAuth as a person's browser does: log in, ask to connect, agree on HubSpot's page, come back."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from mercuri.errors import UserError

#: Where the web app sends a person to HubSpot from.
START = "/oauth/hubspot"


class _Inputs(HTMLParser):
    """The fields of the first form, and where it goes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms and their fields."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = given.get("action", "")
        elif tag == "input" and given.get("name"):
            self.fields[given["name"]] = given.get("value", "")


def connect(web_url: str, email: str, password: str) -> None:
    """Connect the portal behind HubSpot's consent page. Raises UserError with what the page says when it is refused."""
    with httpx.Client(follow_redirects=True, timeout=30, trust_env=False) as browser:
        browser.post(f"{web_url}/login", data={"email": email, "password": password}).raise_for_status()
        asked = browser.get(f"{web_url}{START}")
        form = _Inputs(asked.text)
        if asked.status_code != 200 or "redirect_uri" not in form.fields:
            raise UserError(f"The sandbox's consent page did not open (status {asked.status_code}).")
        back = browser.post(urljoin(str(asked.url), form.action), data=form.fields)
    if back.status_code != 200:
        raise UserError(f"Mercuri refused what HubSpot's consent page sent back (status {back.status_code}).")
