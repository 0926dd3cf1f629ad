"""Looks over the real services and a real server; nothing waits for the politeness of an hour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import update

from core.services import Services
from core.sources.types import Source
from core.storage.tables import DocumentRow, SourceItemRow, SourceRow, now
from ingest.sources.fetch import Fetcher, Limits
from ingest.sources.folder import FolderLook
from ingest.sources.keeper import Keeper
from ingest.sources.robots import Robots
from ingest.sources.site import SiteLook
from tests.sources.pages import Server

OWNER = "local"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def make_keeper(live: Services, server: Server | None = None, *, most_pages: int = 50, quiet: float = 0.0) -> Keeper:
    """As the worker makes it, but for a server on this machine, which is let through, and without waits."""
    fetcher = Fetcher(server.reach if server else live.sources.reach, Limits(seconds=3.0))
    sites = SiteLook(live.db, live.documents, fetcher, Robots(fetcher, delay=0.0), most_pages=most_pages)
    folders = FolderLook(live.db, live.documents, quiet=quiet)
    return Keeper(
        live.db, live.documents, sites, folders, run=live.settings.run, stop=threading.Event(), settle_seconds=0.0
    )


@pytest.fixture
def keeper(live: Services, server: Server) -> Keeper:
    live.sources.reach = server.reach
    return make_keeper(live, server)


Look = Callable[[Source], Source]


@pytest.fixture
def look(live: Services, keeper: Keeper) -> Look:
    """Looks at a site to the end and settles; everything that was queued counts as read."""

    def look_once(source: Source) -> Source:
        live.sources.look(source.id, owner_id=OWNER)
        for _ in range(500):
            keeper.turn_of_sites()
            if not live.sources.get(source.id, owner_id=OWNER).active:
                break
        all_ready(live)
        keeper.turn_of_folders()
        return live.sources.get(source.id, owner_id=OWNER)

    return look_once


def all_ready(live: Services) -> None:
    with live.db.write() as session:
        session.execute(update(DocumentRow).values(status="ready"))


def an_hour_later(live: Services) -> None:
    """Let what was reported be older."""
    from datetime import timedelta

    with live.db.write() as session:
        for item in session.query(SourceItemRow).filter(SourceItemRow.gone_at.is_not(None)):
            item.gone_at = now() - timedelta(hours=2)
        session.execute(update(SourceRow).values(next_at=None))


def names(live: Services) -> list[str]:
    return sorted(document.name for document in live.documents.list_documents(owner_id=OWNER))
