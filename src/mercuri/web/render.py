"""Templates -> answers. Every page is told who looks at it, where they are and how they like it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from mercuri.store.users import Identity
from mercuri.web import words

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_FLASH = "mercuri_flash"
#: htmx without eval, injected styles or a history that keeps contacts in the browser's storage. Refusals are swapped
#: too: the server says by HX-Retarget where they go.
_HTMX = json.dumps(
    {
        "allowEval": False,
        "allowScriptTags": False,
        "includeIndicatorStyles": False,
        "selfRequestsOnly": True,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "responseHandling": [
            {"code": "204", "swap": False},
            {"code": "[23]..", "swap": True},
            {"code": "[45]..", "swap": True, "error": True},
        ],
    },
    separators=(",", ":"),
)


@dataclass(frozen=True, slots=True)
class Flash:
    """A message for the next page: its words, its tone ("" or "bad"), and where its Undo posts to."""

    text: str
    tone: str = ""
    undo: str = ""


class Renderer:
    """The templates, with what every page needs. `navigation` gives (key, text, address, number) for a request."""

    def __init__(
        self,
        now: Callable[[], datetime],
        navigation: Callable[[Request], list[tuple[str, str, str, int]]],
        csrf_of: Callable[[Identity], str],
    ) -> None:
        self._now = now
        self._csrf_of = csrf_of
        self._navigation = navigation
        self._env = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            auto_reload=False,  # else the file of every part is looked at whenever it is included
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.globals.update(static=static, htmx_config=_HTMX)
        self._env.filters.update(
            number=words.number,
            counted=words.counted,
            ago=words.ago,
            span=words.span,
            lasted=words.lasted,
            moment=words.moment,
            field_name=words.field_name,
            shared=words.shared,
            readable=words.readable,
        )

    def html(self, request: Request, template: str, context: Mapping[str, object]) -> str:
        """The text of a page or part."""
        identity = getattr(request.state, "identity", None)
        chrome: dict[str, object] = {
            "identity": identity,
            "csrf": self._csrf(request, identity),
            "now": self._now(),
            "here": _here(request),
            "section": "",
            "theme": _choice(request, "mercuri_theme", ("light", "dark"), ""),
            "shortcuts": _choice(request, "mercuri_shortcuts", ("on", "off"), "on") == "on",
            "flash": _flash(request),
            "navigation": self._navigation(request) if identity and not is_htmx(request) else [],
        }
        return self._env.get_template(template).render({**chrome, **context})

    def _csrf(self, request: Request, identity: Identity | None) -> str:
        """One mask per request, so that a stream of parts repeats none of them for the mask alone."""
        if identity is None:
            return ""
        if not hasattr(request.state, "csrf"):
            request.state.csrf = self._csrf_of(identity)
        token: str = request.state.csrf
        return token


def page(request: Request, template: str, *, status: int = 200, **context: object) -> HTMLResponse:
    """A page, or a part of one for htmx."""
    renderer: Renderer = request.app.state.renderer
    response = HTMLResponse(renderer.html(request, template, context), status)
    response.headers["Vary"] = "HX-Request"
    if _FLASH in request.cookies and not is_htmx(request):
        response.delete_cookie(_FLASH, path="/")
    return response


def text_of(request: Request, template: str, **context: object) -> str:
    """A part as text, for an event of a stream."""
    renderer: Renderer = request.app.state.renderer
    return renderer.html(request, template, context)


def is_htmx(request: Request) -> bool:
    """Whether htmx asks for a part."""
    return request.headers.get("HX-Request") == "true"


def see_other(request: Request, address: str) -> Response:
    """Go to another page after a form was sent; htmx loads it whole."""
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def toast(request: Request, response: Response, text: str, *, tone: str = "", undo: str = "") -> Response:
    """Say something beside the answer: at once when htmx swaps it in, else on the page that comes next."""
    if is_htmx(request) and "HX-Redirect" not in response.headers and not undo:
        response.headers["HX-Trigger"] = json.dumps({"toast": {"text": text, "tone": tone}})
        return response
    message = quote(json.dumps({"text": text, "tone": tone, "undo": undo}))
    response.set_cookie(_FLASH, message, max_age=60, httponly=True, samesite="lax", path="/")
    return response


def local_path(address: str, otherwise: str = "/contacts") -> str:
    """An address on this site, or the other one: nobody is sent elsewhere by a link they were given.

    >>> local_path("/runs/7?x=1"), local_path("//evil.example"), local_path("https://evil.example")
    ('/runs/7?x=1', '/contacts', '/contacts')
    """
    parts = urlsplit(address)
    is_local = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if is_local and "\\" not in address and address.isprintable() else otherwise


def static(path: str) -> str:
    """The address of a static file. It names the state of all of them, so that each can be kept for good; modules that
    import each other and styles that name images stay within one state by their relative addresses.
    """
    return f"/static/{static_mark()}/{path}"


@cache
def static_mark() -> str:
    """A digest of every static file."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(STATIC).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def _choice(request: Request, cookie: str, allowed: tuple[str, ...], otherwise: str) -> str:
    value = request.cookies.get(cookie, otherwise)
    return value if value in allowed else otherwise


def _flash(request: Request) -> Flash | None:
    try:
        said = json.loads(unquote(request.cookies.get(_FLASH, "")))
        return Flash(str(said["text"]), "bad" if said["tone"] == "bad" else "", local_path(str(said["undo"]), ""))
    except (ValueError, KeyError, TypeError):
        return None
