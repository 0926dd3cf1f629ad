"""The web addresses and folders that documents come from. The looking itself is the ingest worker's work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.collections import owned_collection
from core.errors import BadSource, Conflict, NotFound
from core.sources.address import DEFAULT_PORTS, Site, tidy_prefix, typed
from core.sources.lists import item_of, read_sources
from core.sources.reach import Reach
from core.sources.types import (
    DEEPEST,
    FOLDER,
    LONGEST_INTERVAL,
    SHORTEST_INTERVAL,
    WEB,
    ItemState,
    Source,
    SourceItem,
)
from core.storage.db import Database
from core.storage.tables import DocumentRow, SourceDocumentRow, SourceItemRow, SourceRow, now
from core.types import DocumentStatus


class Sources:
    """Every method asks for the owner; what is not theirs does not exist for them. Nothing here uses the network."""

    def __init__(self, db: Database, *, data: Path, reach: Reach) -> None:
        self.db = db
        self.data = data
        self.reach = reach

    def list_sources(self, *, owner_id: str) -> list[Source]:
        """The newest first."""
        with self.db.read() as session:
            return read_sources(session, owner_id)

    def get(self, source_id: str, *, owner_id: str) -> Source:
        with self.db.read() as session:
            _owned(session, source_id, owner_id)
            return read_sources(session, owner_id, source_id)[0]

    def items(
        self, source_id: str, *, owner_id: str, states: Sequence[ItemState] = tuple(ItemState), limit: int = 1000
    ) -> list[SourceItem]:
        """Its pages or files in the order of their addresses."""
        query = select(SourceItemRow).where(
            SourceItemRow.source_id == source_id, SourceItemRow.state.in_([state.value for state in states])
        )
        with self.db.read() as session:
            _owned(session, source_id, owner_id)
            return [item_of(row) for row in session.scalars(query.order_by(SourceItemRow.address).limit(limit))]

    # --- add and change ---

    def add_site(
        self, address: str, *, owner_id: str, depth: int = 0, within: str = "", interval_minutes: int = 0,
        collection_id: str | None = None,
    ) -> Source:  # fmt: skip
        """Read a page, or with a depth the pages it leads to; again every so many minutes, or never by itself (0).

        An address that is there already gets these settings and is looked at again. Raises BadSource, NotFound.
        """
        address, within = typed(address), tidy_prefix(within)
        host, port = urlsplit(address).hostname or "", urlsplit(address).port
        self._check_host(host, port or DEFAULT_PORTS[urlsplit(address).scheme])
        _check_numbers(depth, interval_minutes)
        if not Site(address, within).holds(address):
            raise BadSource(f"{address} does not lie within {within}. Choose a path that the page itself is in.")
        row = SourceRow(
            owner_id=owner_id, kind=WEB, address=address, depth=depth, within=within, collection_id=collection_id,
            interval_minutes=interval_minutes,
        )  # fmt: skip
        return self._add(row)

    def add_folder(self, folder: str, *, owner_id: str, collection_id: str | None = None) -> Source:
        """Follow a folder of this machine: new, changed and removed files. Raises BadSource, NotFound."""
        path = Path(folder.strip()).expanduser()
        if not folder.strip() or not path.is_absolute():
            raise BadSource("Give the whole path of the folder, beginning with a slash or a drive.")
        try:
            path = path.resolve(strict=True)
            os.scandir(path).close()
        except (OSError, RuntimeError, ValueError) as error:
            raise BadSource(
                f"{folder} is not a folder that can be read here. Check its name and permissions."
            ) from error
        data = self.data.resolve()
        if path == data or data in path.parents or path in data.parents:
            raise BadSource(f"{path} holds Groundwork's own data or lies in it. Choose another folder.")
        return self._add(SourceRow(owner_id=owner_id, kind=FOLDER, address=str(path), collection_id=collection_id))

    def change(
        self, source_id: str, *, owner_id: str, depth: int | None = None, within: str | None = None,
        interval_minutes: int | None = None,
    ) -> Source:  # fmt: skip
        """Set what is given and look again; pages that are no longer wanted go with that look. Raises BadSource."""
        _check_numbers(depth or 0, interval_minutes or 0)
        with self.db.write() as session:
            row = _owned(session, source_id, owner_id)
            if row.kind != WEB:
                raise BadSource("A folder has no depth, path or interval: all of it is followed.")
            row.depth = row.depth if depth is None else depth
            row.within = row.within if within is None else tidy_prefix(within)
            if not Site(row.address, row.within).holds(row.address):
                raise BadSource(f"{row.address} does not lie within {row.within}.")
            row.interval_minutes = row.interval_minutes if interval_minutes is None else interval_minutes
            _want(row)
        return self.get(source_id, owner_id=owner_id)

    def look(self, source_id: str, *, owner_id: str) -> Source:
        """Look at it as soon as possible; a pause ends."""
        with self.db.write() as session:
            _want(_owned(session, source_id, owner_id))
        return self.get(source_id, owner_id=owner_id)

    def pause(self, source_id: str, *, owner_id: str) -> Source:
        """Stop looking until `look` or `resume`; a look that is under way stands still where it is."""
        with self.db.write() as session:
            _owned(session, source_id, owner_id).paused = True
        return self.get(source_id, owner_id=owner_id)

    def resume(self, source_id: str, *, owner_id: str) -> Source:
        """Go on after a pause."""
        with self.db.write() as session:
            _owned(session, source_id, owner_id).paused = False
        return self.get(source_id, owner_id=owner_id)

    def cancel(self, source_id: str, *, owner_id: str) -> Source:
        """End the look that is under way; what it has taken in stays, what it had still to fetch is dropped."""
        with self.db.write() as session:
            row = _owned(session, source_id, owner_id)
            row.looking, row.wanted, row.next_at = False, False, next_time(row)
            if row.kind == FOLDER:  # which is always followed: standing still is the only way to stop
                row.paused = True
            queued = SourceItemRow.state == ItemState.queued.value
            session.execute(delete(SourceItemRow).where(SourceItemRow.source_id == source_id, queued))
        return self.get(source_id, owner_id=owner_id)

    def remove(self, source_id: str, *, owner_id: str, with_documents: bool) -> None:
        """Forget a source. Its documents stay as if they had been uploaded; or they go, which the worker does next.

        Those that were also uploaded, or that another source has, stay in any case.
        """
        with self.db.write() as session:
            row = _owned(session, source_id, owner_id)
            if not with_documents:
                for kept in (_present(source_id), _not_yet_replaced(source_id)):
                    session.execute(delete(SourceDocumentRow).where(SourceDocumentRow.document_id.in_(kept)))
            session.delete(row)

    def _add(self, row: SourceRow) -> Source:
        owner_id = row.owner_id
        same = (SourceRow.owner_id == owner_id, SourceRow.kind == row.kind, SourceRow.address == row.address)
        try:
            with self.db.write() as session:
                if row.collection_id is not None:
                    owned_collection(session, row.collection_id, owner_id)
                known = session.scalar(select(SourceRow).where(*same))
                if known is None:
                    session.add(row)
                    session.flush()
                    known = row
                else:
                    known.depth, known.within, known.interval_minutes = row.depth, row.within, row.interval_minutes
                    known.collection_id = row.collection_id or known.collection_id
                _want(known)
                source_id = known.id
        except IntegrityError as error:
            raise Conflict(f"{row.address} was added by somebody else at the same moment.") from error
        return self.get(source_id, owner_id=owner_id)

    def _check_host(self, host: str, port: int) -> None:
        """Say at once what the worker would say after asking DNS, as far as the address itself shows it."""
        self.reach.check_port(host, port)
        if host == "localhost" or host.endswith(".localhost"):
            self.reach.check(host, "127.0.0.1", port)
        elif ":" in host or host.replace(".", "").isdecimal():
            self.reach.check(host, host, port)


def _owned(session: Session, source_id: str, owner_id: str) -> SourceRow:
    row = session.scalar(select(SourceRow).where(SourceRow.id == source_id, SourceRow.owner_id == owner_id))
    if row is None:
        raise NotFound("There is no such source. It may have been removed.")
    return row


def _present(source_id: str) -> Select[str | None]:
    return select(SourceItemRow.document_id).where(SourceItemRow.source_id == source_id)


def _not_yet_replaced(source_id: str) -> Select[str | None]:
    """The documents that serve because what is to replace them cannot be found yet, or never will."""
    return (
        select(SourceItemRow.previous_id)
        .join(DocumentRow, DocumentRow.id == SourceItemRow.document_id, isouter=True)
        .where(
            SourceItemRow.source_id == source_id,
            SourceItemRow.previous_id.is_not(None),
            DocumentRow.status.is_distinct_from(DocumentStatus.ready.value),
        )
    )


def _want(row: SourceRow) -> None:
    row.wanted, row.paused, row.failures = True, False, 0


def next_time(row: SourceRow) -> datetime | None:
    """When a site is looked at again by itself."""
    return now() + timedelta(minutes=row.interval_minutes) if row.interval_minutes else None


def _check_numbers(depth: int, interval_minutes: int) -> None:
    if not 0 <= depth <= DEEPEST:
        raise BadSource(f"The depth is a number from 0 (only this page) to {DEEPEST}.")
    if interval_minutes and not SHORTEST_INTERVAL <= interval_minutes <= LONGEST_INTERVAL:
        raise BadSource(f"A site is looked at every {SHORTEST_INTERVAL} minutes at the most, or by hand only (0).")
