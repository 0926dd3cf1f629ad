"""A keeper over the data folder, with everything it needs."""

from __future__ import annotations

import threading

from core.documents import Documents
from core.jobs import Jobs
from core.settings import Settings
from core.sources.reach import Reach
from core.storage.db import Database
from core.storage.files import FileStore
from ingest.sources.fetch import Fetcher, Limits
from ingest.sources.folder import FolderLook
from ingest.sources.keeper import Keeper
from ingest.sources.robots import Robots
from ingest.sources.site import SiteLook


def make_keeper(settings: Settings, db: Database, stop: threading.Event) -> Keeper:
    """The keeper of the worker process."""
    documents = Documents(db, FileStore(settings.files), Jobs(db), upload_mb=settings.upload_mb)
    fetcher = Fetcher(Reach(private=settings.fetch_private), Limits(most_bytes=settings.upload_mb << 20))
    sites = SiteLook(db, documents, fetcher, Robots(fetcher), most_pages=settings.site_pages)
    return Keeper(db, documents, sites, FolderLook(db, documents), run=settings.run, stop=stop)
