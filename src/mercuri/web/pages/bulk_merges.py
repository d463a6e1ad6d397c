"""Merge all safe groups at once: what would happen, how far it is, and the way back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.background import BackgroundTask

from mercuri.engine import dedupe
from mercuri.engine.dedupe import SafePreview
from mercuri.store import merges
from mercuri.store.merges import Batch
from mercuri.store.users import Identity
from mercuri.web import auth, render
from mercuri.web.auth import Manager, Viewer, actor_of
from mercuri.web.services import app_of, may_edit

router = APIRouter()

BatchPath = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/duplicates/safe")
def safe(request: Request, viewer: Viewer, after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0) -> Response:
    """What a bulk merge would do. Many groups are judged in parts, one for each request; the session keeps the sum."""
    app = app_of(request)
    preview = dedupe.preview_safe(app, viewer.workspace, _so_far(viewer, after))
    auth.remember(request, viewer, safe=asdict(preview))
    template = "parts/safe_preview.html" if render.is_htmx(request) else "duplicates_safe.html"
    total = dedupe.totals(app, viewer.workspace).groups
    return _page(request, template, preview=preview, total=max(total, preview.looked_at))


def _so_far(viewer: Identity, after: int) -> SafePreview:
    """What this person's requests counted up to a group; nothing where it was not the last one."""
    known = viewer.data.get("safe")
    return SafePreview(**known) if after and known and known["reached"] == after else SafePreview()


@router.post("/duplicates/safe")
def merge_safe(request: Request, manager: Manager) -> Response:
    """Merge all safe groups."""
    return _begun(request, manager, dedupe.merge_safe(app_of(request), manager.workspace, actor_of(manager)))


@router.get("/duplicates/batches/{batch_id}")
def batch(request: Request, viewer: Viewer, batch_id: BatchPath) -> Response:
    """How far a bulk merge, or its undo, is; for htmx the moving part."""
    with app_of(request).db.read(viewer.workspace) as tx:
        found, standing = merges.batch(tx, batch_id), merges.standing(tx, batch_id)
    template = "parts/merge_batch.html" if render.is_htmx(request) else "duplicates_batch.html"
    return _page(request, template, batch=found, standing=standing)


@router.post("/duplicates/batches/{batch_id}/undo")
def undo_batch(request: Request, manager: Manager, batch_id: BatchPath) -> Response:
    """Take a bulk merge back."""
    return _begun(request, manager, dedupe.undo_batch(app_of(request), manager.workspace, batch_id, actor_of(manager)))


@router.post("/duplicates/batches/{batch_id}/cancel")
def cancel_batch(request: Request, manager: Manager, batch_id: BatchPath) -> Response:
    """Stop a bulk merge or its undo."""
    dedupe.cancel_batch(app_of(request), manager.workspace, batch_id, actor_of(manager))
    return render.see_other(request, f"/duplicates/batches/{batch_id}")


def _begun(request: Request, manager: Identity, started: Batch) -> Response:
    """To the page of a batch, whose first turn begins once the answer is sent; what is left is a worker's."""
    response = render.see_other(request, f"/duplicates/batches/{started.id}")
    response.background = BackgroundTask(dedupe.work_on_batches, app_of(request), manager.workspace)
    return response


def _page(request: Request, template: str, **context: Any) -> Response:
    return render.page(request, template, section="duplicates", may_edit=may_edit(request), **context)
