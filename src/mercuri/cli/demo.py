"""`mercuri demo`: a sandbox portal, connected, synced and served with one command."""

from __future__ import annotations


def demo() -> None:
    """See Mercuri at work on a sandbox portal."""
