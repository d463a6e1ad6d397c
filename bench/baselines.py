"""What others do with the same sandbox: a plain serial reader of the list, and HubSpot's official client."""

from __future__ import annotations

import time

import httpx
from hubspot import HubSpot as OfficialClient  # type: ignore  # it has no types

from mercuri.sandbox.api import STATIC_TOKEN

PAGES = 40
_NAMES = ["firstname", "lastname", "email", "phone"]


def serial(url: str, pages: int = PAGES) -> float:
    """Contacts a second of a loop over the list."""
    after, began, read = None, time.perf_counter(), 0
    with httpx.Client(headers={"authorization": f"Bearer {STATIC_TOKEN}"}, trust_env=False) as http:
        for _ in range(pages):
            query = {"limit": "100", "properties": ",".join(_NAMES)} | ({"after": after} if after else {})
            body = http.get(f"{url}/crm/objects/2026-09/contacts", params=query, timeout=60).json()
            read += len(body["results"])
            after = body.get("paging", {}).get("next", {}).get("after")
            if after is None:
                break
    return read / (time.perf_counter() - began)


def official(url: str, pages: int = PAGES) -> float:
    """Contacts a second of the loop that the official client's `get_all` is, without its end."""
    client = OfficialClient(access_token=STATIC_TOKEN)
    client.config["host"] = url
    after, began, read = None, time.perf_counter(), 0
    for _ in range(pages):
        page = client.crm.contacts.basic_api.get_page(limit=100, after=after, properties=_NAMES)
        read += len(page.results)
        if page.paging is None:
            break
        after = page.paging.next.after
    return read / (time.perf_counter() - began)
