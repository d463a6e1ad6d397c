"""The journal's client: what counts as a hint, and who gets our token."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.support.hubspot import API, ScriptedTransport, ok

from mercuri.errors import NotThere, Unavailable
from mercuri.hubspot.journal import File, Journal
from mercuri.hubspot.webhooks import HintKind

ANA = {"type": "OBJECT", "portalId": 4242, "objectTypeId": "0-1", "objectId": 51, "action": "UPDATE"}


class _Tokens:
    def bearer(self, *, renew: str | None = None) -> str:
        return "of-the-app"


def _journal(*answers: httpx.Response) -> tuple[Journal, ScriptedTransport]:
    script = ScriptedTransport(*answers)
    return Journal(httpx.Client(transport=script), API, _Tokens(), portal="4242"), script


def _file(*events: dict[str, Any]) -> tuple[httpx.Response, httpx.Response]:
    link = {"url": "https://files.test/one", "expiresAt": "2026-03-09T09:05:00Z", "currentOffset": 1007}
    return ok(link), ok({"offset": 1007, "journalEvents": list(events)})


def _kinds(file: File | None) -> list[tuple[str, HintKind]]:
    return [(hint.object_id, hint.kind) for hint in file.hints] if file else []


def test_each_event_about_a_contact_is_a_hint() -> None:
    events = [{**ANA, "action": action} for action in ("CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE", "NEW_TO_US")]
    erased = {"type": "GDPR_PRIVACY_DELETION", "portalId": 4242, "objectId": 51, "action": "GDPR_DELETE"}
    journal, _ = _journal(*_file(*events, erased))

    found = _kinds(journal.next_file(None))

    kinds = [HintKind.CREATED, HintKind.CHANGED, HintKind.DELETED, HintKind.MERGED, HintKind.RESTORED, HintKind.CHANGED]
    assert found == [("51", kind) for kind in [*kinds, HintKind.ERASED]]


def test_what_is_not_about_a_contact_of_this_portal_is_left_out() -> None:
    others = [{**ANA, "portalId": 999}, {**ANA, "objectTypeId": "0-2"}, {**ANA, "objectId": None}, {"odd": True}]
    journal, _ = _journal(*_file(*others, ANA))

    assert _kinds(journal.next_file("1000")) == [("51", HintKind.CHANGED)]


def test_whoever_keeps_the_file_does_not_get_our_token() -> None:
    journal, script = _journal(*_file(ANA))

    journal.next_file("1000")

    asked, fetched = script.requests
    assert asked.headers["authorization"] == "Bearer of-the-app"
    assert asked.url.path.endswith("/journal-local/2026-09/offset/1000/next")
    assert "authorization" not in fetched.headers


def test_nothing_new_is_no_file() -> None:
    journal, _ = _journal(httpx.Response(204))

    assert journal.next_file("1000") is None


def test_a_link_that_has_run_out_and_a_file_that_is_none_are_asked_for_again() -> None:
    link, _ = _file()
    for broken in (httpx.Response(403), ok({"offset": 1007}), httpx.Response(200, content=b"<html>")):
        journal, _ = _journal(link, broken)

        with pytest.raises(Unavailable, match="could not be fetched"):
            journal.next_file("1000")


def test_an_offset_that_hubspot_does_not_know_is_told() -> None:
    journal, _ = _journal(ok({"status": "error", "message": "unknown offset"}, 404))

    with pytest.raises(NotThere):
        journal.next_file("1000")
