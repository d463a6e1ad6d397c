"""The frame of the sandbox's pages: plain HTML with its style inside, no script, nothing fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mercuri.sandbox.answers import Answer, html_answer

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem }
header { display: flex; gap: 1.5rem; align-items: baseline; flex-wrap: wrap; border-bottom: 2px solid #ff7a59 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8886; overflow-wrap: anywhere }
label { display: block; margin: .5rem 0 }
label span { display: inline-block; min-width: 14rem }
input, select { font: inherit; padding: .2rem .4rem; min-width: 18rem; max-width: 100% }
button { font: inherit; padding: .3rem .9rem; cursor: pointer }
form.row { display: inline-block; margin: .5rem 1rem .5rem 0 }
.problem { border-left: 4px solid #c00; padding: .5rem 1rem }
.note { opacity: .75 }
"""


def page(title: str, body: str, *, status: int = 200, problem: str = "") -> Answer:
    """A whole page; `body` is HTML, `title` and `problem` are text."""
    told = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return html_answer(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - HubSpot sandbox</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<header><strong>HubSpot sandbox</strong><a href="/">Contacts</a><a href="/?archived=1">Recycle bin</a>'
        f'<a href="/requests">Requests</a></header><main><h1>{escape(title)}</h1>{told}{body}</main></body></html>',
        status,
    )


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the cells are HTML already."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def text_field(label: str, name: str, value: str) -> str:
    """A labelled text box."""
    return f'<label><span>{escape(label)}</span> <input name="{escape(name)}" value="{escape(value)}"></label>'


def choice_field(label: str, name: str, value: str, options: Iterable[tuple[str, str]]) -> str:
    """A labelled list to choose from, with an empty choice; `options` are label and value."""
    choices = "".join(
        f'<option value="{escape(each)}"{" selected" if each == value else ""}>{escape(shown)}</option>'
        for shown, each in [("", ""), *options]
    )
    return f'<label><span>{escape(label)}</span> <select name="{escape(name)}">{choices}</select></label>'


def action(label: str, path: str, fields: str = "") -> str:
    """A form of one button that posts to a path; `fields` is HTML."""
    return f'<form class="row" method="post" action="{escape(path)}">{fields} <button>{escape(label)}</button></form>'


def hidden(name: str, value: str) -> str:
    """A hidden field."""
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
