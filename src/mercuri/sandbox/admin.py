"""The admin API below `/sandbox/`: JSON, no part of HubSpot, for tests and scripts that steer the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mercuri.sandbox.answers import Answer, Refusal, json_answer
from mercuri.sandbox.request import sent_properties

if TYPE_CHECKING:
    from mercuri.sandbox.api import Sandbox

Body = dict[str, Any]


def answer(sandbox: Sandbox, method: str, path: str, body: bytes) -> Answer:
    """Answer one admin call; 400 with a sentence when it makes no sense."""
    act = _ACTS.get((method, path.removeprefix("/sandbox/").strip("/")))
    if act is None:
        listed = [f"{each} /sandbox/{name}" for each, name in _ACTS]
        return json_answer({"error": "There is no such admin call.", "calls": listed}, 404)
    try:
        sent = json.loads(body) if body else {}
        if not isinstance(sent, dict):
            raise ValueError("The body has to be a JSON object.")
        return json_answer(act(sandbox, sent))
    except Refusal as refusal:
        return json_answer({"error": refusal.body.get("message", "refused"), "hubspot": refusal.body}, refusal.status)
    except KeyError as error:
        return json_answer({"error": f"{error.args[0]} is missing."}, 400)
    except (TypeError, ValueError) as error:
        return json_answer({"error": str(error)}, 400)


def _status(sandbox: Sandbox, sent: Body) -> Body:
    return {
        "portal_id": sandbox.portal.portal_id,
        "contacts": len(sandbox.portal.live),
        "archived": len(sandbox.portal.archived),
        "counts": sandbox.counts(),
        "faults": sandbox.faults.pending(),
        "limits": {**sandbox.limit_texts, "latency_ms": sandbox.latency_ms, "lag_ms": sandbox.portal.index.lag_ms},
        "webhook_target": sandbox.webhooks.target,
    }


def _switches(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.switch(**sent)
    return asdict(sandbox.portal.switches)


def _fault(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.fault(
        str(sent["kind"]),
        int(sent.get("count", 1)),
        str(sent.get("match", "")),
        str(sent.get("method", "")),
        int(sent.get("skip", 0)),
        sent.get("retry_after"),
    )
    return {"faults": sandbox.faults.pending()}


def _clear_faults(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.clear_faults()
    return {"faults": []}


def _limits(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.set_limits(**sent)
    return _status(sandbox, {})


def _require(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.require(*map(str, sent["names"]))
    return {"required": list(sandbox.portal.required)}


def _contacts(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.add_contacts(int(sent["count"]))
    return {"contacts": len(sandbox.portal.live)}


def _create(sandbox: Sandbox, sent: Body) -> Body:
    return {"id": sandbox.create(sent_properties(sent))}


def _update(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.update(str(sent["id"]), sent_properties(sent))
    return {"id": str(sent["id"])}


def _archive(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.archive(str(sent["id"]))
    return {}


def _restore(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.restore(str(sent["id"]))
    return {}


def _merge(sandbox: Sandbox, sent: Body) -> Body:
    return {"id": sandbox.merge(str(sent["primary"]), str(sent["other"]))}


def _erase(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.erase(str(sent["id"]))
    return {}


def _stamp(sandbox: Sandbox, sent: Body) -> Body:
    return {"modified_ms": sandbox.stamp(int(sent["count"]), int(sent.get("spread_ms", 0)))}


def _ids(sandbox: Sandbox, sent: Body) -> Body:
    return {"ids": sandbox.contact_ids()}


def _counts(sandbox: Sandbox, sent: Body) -> Body:
    return sandbox.counts()


def _reset(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.reset_counts()
    return sandbox.counts()


def _log(sandbox: Sandbox, sent: Body) -> Body:
    return {"requests": sandbox.log()}


def _revoke(sandbox: Sandbox, sent: Body) -> Body:
    if sent.get("static"):
        sandbox.revoke_static_tokens()
    else:
        sandbox.revoke_tokens()
    return {}


def _expire(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.expire_tokens()
    return {}


def _property(sandbox: Sandbox, sent: Body) -> Body:
    return sandbox.add_property(sent)


def _archive_property(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.archive_property(str(sent["name"]))
    return {}


def _webhooks(sandbox: Sandbox, sent: Body) -> Body:
    sandbox.webhooks.aim(str(sent["target"]))
    return {"target": sandbox.webhooks.target}


_ACTS: dict[tuple[str, str], Callable[[Sandbox, Body], Body]] = {
    ("GET", "status"): _status,
    ("GET", "switches"): _switches,
    ("POST", "switches"): _switches,
    ("POST", "faults"): _fault,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "limits"): _limits,
    ("POST", "required"): _require,
    ("POST", "contacts"): _contacts,
    ("GET", "contacts"): _ids,
    ("POST", "create"): _create,
    ("POST", "update"): _update,
    ("POST", "archive"): _archive,
    ("POST", "restore"): _restore,
    ("POST", "merge"): _merge,
    ("POST", "erase"): _erase,
    ("POST", "stamp"): _stamp,
    ("GET", "counts"): _counts,
    ("DELETE", "counts"): _reset,
    ("GET", "log"): _log,
    ("POST", "tokens/revoke"): _revoke,
    ("POST", "tokens/expire"): _expire,
    ("POST", "properties"): _property,
    ("POST", "properties/archive"): _archive_property,
    ("POST", "webhooks"): _webhooks,
}
