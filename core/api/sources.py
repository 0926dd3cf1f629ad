"""REST for sources: web sites and watched folders."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from core import services
from core.errors import BadSource
from core.sources.told import item_json, source_json
from core.sources.types import ItemState

router = APIRouter(tags=["sources"])


class NewSource(BaseModel):
    """A web address, or a folder of this machine."""

    model_config = ConfigDict(extra="forbid")

    address: str = ""
    folder: str = ""
    depth: int = 0
    within: str = ""
    interval_minutes: int = 0
    collection: str = ""


class ChangedSource(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    depth: int | None = None
    within: str | None = None
    interval_minutes: int | None = None
    paused: bool | None = None


@router.get("/sources")
def list_sources() -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    return {"sources": [source_json(source) for source in live.sources.list_sources(owner_id=user.id)]}


@router.post("/sources", status_code=202)
def add_source(wanted: NewSource) -> dict[str, Any]:
    """Read a page or a site, or follow a folder. A collection is made when it does not exist."""
    if bool(wanted.address.strip()) == bool(wanted.folder.strip()):
        raise BadSource("Give either an address or a folder.")
    live, user = services.get(), services.get().accounts.who()
    home = live.documents.collection(wanted.collection, owner_id=user.id) if wanted.collection.strip() else None
    if wanted.folder.strip():
        return source_json(live.sources.add_folder(wanted.folder, owner_id=user.id, collection_id=home))
    return source_json(
        live.sources.add_site(
            wanted.address, owner_id=user.id, depth=wanted.depth, within=wanted.within,
            interval_minutes=wanted.interval_minutes, collection_id=home,
        )
    )  # fmt: skip


@router.get("/sources/{source_id}")
def get_source(source_id: str) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    return source_json(live.sources.get(source_id, owner_id=user.id))


@router.patch("/sources/{source_id}")
def change_source(source_id: str, wanted: ChangedSource) -> dict[str, Any]:
    """Change a site, or pause and resume. A changed site is looked at again."""
    live, user = services.get(), services.get().accounts.who()
    if any(value is not None for value in (wanted.depth, wanted.within, wanted.interval_minutes)):
        live.sources.change(
            source_id, owner_id=user.id, depth=wanted.depth, within=wanted.within,
            interval_minutes=wanted.interval_minutes,
        )  # fmt: skip
    if wanted.paused is not None:
        (live.sources.pause if wanted.paused else live.sources.resume)(source_id, owner_id=user.id)
    return source_json(live.sources.get(source_id, owner_id=user.id))


@router.get("/sources/{source_id}/items")
def list_items(
    source_id: str,
    state: Annotated[list[ItemState] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, Any]:
    """The pages or files, with what is wrong with each."""
    live, user = services.get(), services.get().accounts.who()
    states = tuple(state or ItemState)
    found = live.sources.items(source_id, owner_id=user.id, states=states, limit=limit)
    return {"items": [item_json(item) for item in found]}


@router.post("/sources/{source_id}/look", status_code=202)
def look(source_id: str) -> dict[str, Any]:
    """Look at it as soon as possible."""
    live, user = services.get(), services.get().accounts.who()
    return source_json(live.sources.look(source_id, owner_id=user.id))


@router.post("/sources/{source_id}/cancel", status_code=202)
def cancel(source_id: str) -> dict[str, Any]:
    """End the look that is under way."""
    live, user = services.get(), services.get().accounts.who()
    return source_json(live.sources.cancel(source_id, owner_id=user.id))


@router.delete("/sources/{source_id}", status_code=204)
def remove_source(source_id: str, documents: bool = False) -> Response:
    """Forget it. Its documents stay, or with `documents=true` go too, unless somebody uploaded them as well."""
    live, user = services.get(), services.get().accounts.who()
    live.sources.remove(source_id, owner_id=user.id, with_documents=documents)
    return Response(status_code=204)
