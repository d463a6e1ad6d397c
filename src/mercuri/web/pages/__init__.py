"""The screens, one module each. A screen registers its router here."""

from __future__ import annotations

from fastapi import APIRouter

#: Every screen's router, in the order of the navigation.
ROUTERS: tuple[APIRouter, ...] = ()
