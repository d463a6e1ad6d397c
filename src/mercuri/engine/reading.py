"""Every record of a portal, page by page, with the next page already under way while one is being stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from mercuri.hubspot.client import Client, Page


def read_all(client: Client, properties: Sequence[str], after: str | None, *, archived: bool = False) -> Iterator[Page]:
    """The pages of the list from a cursor on (None: from its beginning), in no order to rely on.

    A page's `after` is the place to go on from once it is stored; None stands on the last page. Errors of HubSpot come
    out where the page would have come; closing the iterator waits for the request that is under way.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as ahead:
        coming = ahead.submit(client.list_contacts, properties, after, archived=archived)
        while True:
            page = coming.result()
            if page.after is None:
                yield page
                return
            coming = ahead.submit(client.list_contacts, properties, page.after, archived=archived)
            yield page
