"""The pages a person sees: the consent page of OAuth, and the contacts as HubSpot's screen would show them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from mercuri.sandbox.answers import Answer, html_answer, redirect

if TYPE_CHECKING:
    from mercuri.sandbox.api import Sandbox


def is_page(path: str) -> bool:
    """Is this path one of the pages?"""
    return path in ("/", "/oauth/authorize")


def answer(sandbox: Sandbox, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer for one page."""
    if path == "/":
        return html_answer("<h1>Sandbox</h1>")
    params = dict(parse_qsl(query, keep_blank_values=True))
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return _authorise(sandbox, method, params if method == "GET" else form)


def _authorise(sandbox: Sandbox, method: str, params: dict[str, str]) -> Answer:
    problem = sandbox.oauth.check_install(params)
    if problem:
        return html_answer(f"<h1>Authorization failed</h1><p>{escape(problem)}</p>", 400)
    if method == "POST":
        scopes = frozenset(params["scope"].split()) | frozenset(params.get("optional_scope", "").split())
        code = sandbox.oauth.agree(params["redirect_uri"], scopes)
        answer = {"code": code, **({"state": params["state"]} if "state" in params else {})}
        glue = "&" if "?" in params["redirect_uri"] else "?"
        return redirect(f"{params['redirect_uri']}{glue}{urlencode(answer)}")
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in params.items()
    )
    return html_answer(
        f'<h1>Connect app</h1><form method="post" action="/oauth/authorize">{hidden}<button>Connect app</button></form>'
    )
