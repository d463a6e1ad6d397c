"""The pages a person sees: OAuth's consent page, and the contacts as a user of HubSpot works with them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from mercuri.sandbox import html
from mercuri.sandbox.answers import Answer, Refusal, redirect
from mercuri.sandbox.properties import Property
from mercuri.sandbox.records import Record
from mercuri.sandbox.request import whole
from mercuri.sandbox.times import iso

if TYPE_CHECKING:
    from mercuri.sandbox.api import Sandbox

Form = Mapping[str, str]
_PER_PAGE = 50
_REFUSED_CODES = ("user_declined", "install_cancelled", "authorization_failed")
#: Shown first and always; other properties follow when they are filled, custom ones always.
_FIRST = (
    "firstname",
    "lastname",
    "email",
    "phone",
    "mobilephone",
    "company",
    "jobtitle",
    "city",
    "country",
    "lifecyclestage",
)


def is_page(path: str) -> bool:
    """Is this path one of the pages?"""
    return path in ("/", "/requests", "/oauth/authorize") or path.startswith("/contact/")


def answer(sandbox: Sandbox, method: str, path: str, query: str, body: bytes) -> Answer:
    """Answer for one page; a refusal is shown on the page it came from."""
    params = dict(parse_qsl(query, keep_blank_values=True))
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        return _page(sandbox, method, path.strip("/").split("/"), params, form)
    except Refusal as refusal:
        problem = str(refusal.body.get("message", "HubSpot refused this."))
        return html.page(
            "Not done", '<p><a href="/">Back to the contacts</a></p>', status=refusal.status, problem=problem
        )


def _page(sandbox: Sandbox, method: str, parts: list[str], params: Form, form: Form) -> Answer:
    match method, parts:
        case "GET", [""]:
            return _contacts(sandbox, params)
        case "GET", ["requests"]:
            return _requests(sandbox)
        case "GET", ["oauth", "authorize"]:
            return _consent(sandbox, params)
        case "POST", ["oauth", "authorize"]:
            return _decided(sandbox, form)
        case "GET", ["contact", "new"]:
            return html.page("New contact", _edit_form(sandbox, "/contact/new", {}))
        case "POST", ["contact", "new"]:
            return redirect(f"/contact/{sandbox.create({name: value for name, value in form.items() if value})}")
        case "GET", ["contact", key]:
            return _contact(sandbox, key)
        case "POST", ["contact", key]:
            sandbox.update(key, _differences(sandbox, key, form))
            return redirect(f"/contact/{key}")
        case "POST", ["contact", key, act]:
            return _act(sandbox, key, act, form)
    return html.page("No such page", "", status=404)


def _act(sandbox: Sandbox, key: str, act: str, form: Form) -> Answer:
    if act == "archive":
        sandbox.archive(key)
    elif act == "restore":
        sandbox.restore(key)
    elif act == "erase":
        sandbox.erase(key)
    elif act == "merge":
        return redirect(f"/contact/{sandbox.merge(key, form.get('other', '').strip())}")
    else:
        return html.page("No such page", "", status=404)
    return redirect("/")


# -- contacts


def _contacts(sandbox: Sandbox, params: Form) -> Answer:
    archived, words = params.get("archived") == "1", params.get("q", "")
    offset = whole(params.get("from", "")) or 0
    ids = _looked_for(sandbox, words, archived=archived)
    rows = [_row(sandbox.portal.records[each]) for each in ids[offset : offset + _PER_PAGE]]
    kept = html.hidden("archived", "1") if archived else ""
    search = f'<form class="row">{html.text_field("Search", "q", words)}{kept}<button>Search</button></form>'
    more = urlencode({"q": words, "from": offset + _PER_PAGE, **({"archived": "1"} if archived else {})})
    further = f'<p><a href="/?{escape(more)}">Next {_PER_PAGE}</a></p>' if offset + _PER_PAGE < len(ids) else ""
    heads = ("Name", "E-mail", "Phone", "City", "SMS opt-in", "Last modified", "Record ID")
    above = f'{search}<p><a href="/contact/new">New contact</a></p><p class="note">{len(ids)} contacts</p>'
    return html.page("Recycle bin" if archived else "Contacts", above + html.table(heads, rows) + further)


def _looked_for(sandbox: Sandbox, words: str, *, archived: bool) -> list[int]:
    """Ids of contacts that mention every word, last modified first."""
    portal = sandbox.portal
    records = [portal.records[each] for each in (portal.archived if archived else portal.live)]
    for word in words.lower().split():
        records = [each for each in records if word in _mentions(each)]
    return [each.id for each in sorted(records, key=lambda each: -each.modified_ms)]


def _mentions(record: Record) -> str:
    get = record.values.get
    named = (
        get(name, "") for name in ("firstname", "lastname", "email", "hs_additional_emails", "phone", "city", "company")
    )
    return " ".join((*named, record.text_id)).lower()


def _row(record: Record) -> list[str]:
    get = record.values.get
    name = f"{get('firstname', '')} {get('lastname', '')}".strip() or "(no name)"
    cells = [get("email", ""), get("phone", ""), get("city", ""), get("sms_opt_in", ""), iso(record.modified_ms)]
    shown = f'<a href="/contact/{record.id}">{escape(name)}</a>'
    return [shown, *map(escape, cells), record.text_id]


def _contact(sandbox: Sandbox, key: str) -> Answer:
    number = whole(key) or 0
    record = sandbox.portal.find(number)
    if record is None:
        return _binned(sandbox, sandbox.portal.find_archived(number))
    name = f"{record.values.get('firstname', '')} {record.values.get('lastname', '')}".strip()
    merged = f'<p class="note">Contact {escape(key)} was merged into this one.</p>' if record.text_id != key else ""
    path = f"/contact/{record.id}"
    other = '<label><span>Record ID of the other</span> <input name="other" required></label>'
    acts = (
        html.action("Delete", f"{path}/archive")
        + html.action("Delete permanently (GDPR)", f"{path}/erase")
        + html.action("Merge", f"{path}/merge", other)
    )
    body = merged + _edit_form(sandbox, path, record.values) + acts + _system_part(sandbox, record) + _history(record)
    return html.page(name or f"Contact {record.id}", body)


def _binned(sandbox: Sandbox, record: Record | None) -> Answer:
    if record is None:
        return html.page("No such contact", "", status=404)
    return html.page(f"Deleted contact {record.id}", html.action("Restore", f"/contact/{record.id}/restore"))


def _edit_form(sandbox: Sandbox, path: str, values: Mapping[str, str]) -> str:
    fields = "".join(_field(each, values.get(each.name, "")) for each in _editable(sandbox, values))
    return f'<form method="post" action="{path}">{fields}<button>Save</button></form>'


def _editable(sandbox: Sandbox, values: Mapping[str, str]) -> list[Property]:
    known = sandbox.portal.properties
    custom = [each.name for each in known.values() if not each.defined_by_hubspot]
    names = dict.fromkeys([*_FIRST, *custom, *values])
    listed = [known[name] for name in names if name in known]
    return [each for each in listed if not each.read_only and each.archived_ms is None]


def _field(prop: Property, value: str) -> str:
    if prop.type == "bool":
        return html.choice_field(prop.label, prop.name, value, (("Yes", "true"), ("No", "false")))
    if prop.options and prop.field_type != "checkbox":
        return html.choice_field(prop.label, prop.name, value, prop.options)
    return html.text_field(prop.label, prop.name, value)


def _differences(sandbox: Sandbox, key: str, form: Form) -> dict[str, str]:
    """What a person really changed: a field that stands as it was is not sent."""
    present = sandbox.contact(key) or {}
    return {name: value for name, value in form.items() if value.strip() != present.get(name, "").strip()}


def _system_part(sandbox: Sandbox, record: Record) -> str:
    known = sandbox.portal.properties
    locked = sorted(name for name in record.values if name in known and known[name].read_only)
    rows = [[escape(known[name].label), escape(name), escape(record.values[name])] for name in locked]
    return "<h2>Kept by HubSpot</h2>" + html.table(("Property", "Name", "Value"), rows)


def _history(record: Record) -> str:
    entries = [(each.at_ms, name, each) for name in record.history for each in record.history[name]]
    entries.sort(key=lambda each: -each[0])
    rows = [
        [iso(at_ms), escape(name), escape(each.value), escape(f"{each.author.source} {each.author.source_id}")]
        for at_ms, name, each in entries[:_PER_PAGE]
    ]
    return "<h2>History</h2>" + html.table(("When", "Property", "Value", "Source"), rows)


# -- requests and consent


def _requests(sandbox: Sandbox) -> Answer:
    counts = html.table(sandbox.counts(), [map(str, sandbox.counts().values())])
    rows = [
        [iso(each["at"]), each["method"], escape(each["path"]), str(each["status"]), each["kind"], each["fate"]]
        for each in reversed(sandbox.log())
    ]
    return html.page("Requests", counts + html.table(("When", "Method", "Path", "Status", "Kind", "Fault"), rows))


def _consent(sandbox: Sandbox, params: Form) -> Answer:
    problem = sandbox.oauth.check_install(params)
    if problem:
        return html.page("Authorization failed", "", status=400, problem=problem)
    scopes = [*params["scope"].split(), *params.get("optional_scope", "").split()]
    listed = "".join(f"<li>{escape(each)}</li>" for each in scopes)
    kept = "".join(html.hidden(name, value) for name, value in params.items())
    body = (
        f"<p>The app asks for access to account {sandbox.portal.portal_id}:</p><ul>{listed}</ul>"
        f'<form method="post" action="/oauth/authorize">{kept}'
        f'<button name="decision" value="connect">Connect app</button> '
        f'<button name="decision" value="cancel">Cancel</button></form>'
    )
    return html.page("Connect app", body)


def _decided(sandbox: Sandbox, form: Form) -> Answer:
    problem = sandbox.oauth.check_install(form)
    if problem:
        return html.page("Authorization failed", "", status=400, problem=problem)
    if form.get("decision") == "cancel":
        return _cancelled(sandbox, form)
    scopes = frozenset(form["scope"].split()) | frozenset(form.get("optional_scope", "").split())
    return _back(form, {"code": sandbox.oauth.agree(form["redirect_uri"], scopes)})


def _cancelled(sandbox: Sandbox, form: Form) -> Answer:
    mode = sandbox.switches.refused_install
    if mode == "none":
        return html.page("Not connected", "<p>You may close this page.</p>")
    code = "access_denied" if mode == "access_denied" else sandbox.portal.rng.choice(_REFUSED_CODES)
    return _back(form, {"error": code, "error_description": "The user did not connect the app"})


def _back(form: Form, told: dict[str, str]) -> Answer:
    if "state" in form:
        told["state"] = form["state"]
    glue = "&" if "?" in form["redirect_uri"] else "?"
    return redirect(f"{form['redirect_uri']}{glue}{urlencode(told, quote_via=quote)}")
