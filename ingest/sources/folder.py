"""A look at a watched folder: what is new or changed is taken in, what is gone goes, what is doubtful stays."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.documents import Documents
from core.errors import BadSource, BadUpload, NotFound, SourceUnreachable
from core.names import clean_name
from core.sources.items import from_item
from core.sources.types import ItemState
from core.storage.db import Database
from core.storage.tables import SourceItemRow, SourceRow, now
from ingest.sources.line import Ended
from ingest.sources.opening import Changing, opened
from ingest.sources.patience import Patience
from ingest.sources.renames import follow_rename
from ingest.sources.scan import MOST_FILES, Scan, Seen, is_text, scan

QUIET_SECONDS = 10.0  # a file that was changed less long ago may still be being written
BUDGET_SECONDS = 20.0  # for one look, so that other folders have their turn
REPORT_SECONDS = 1.0
TOUCH = timedelta(seconds=60)  # how often a look without news is written down
RETRY_SECONDS, LONGEST_RETRY = 30.0, 900.0  # between two tries of a file that could not be read
UNREAD = {"size": 0, "mtime_ns": 0}  # what is known of a file that was refused for a reason that may pass
NOT_THERE = "The folder is not there, or may not be read. Is its disk connected? Nothing was removed."
OTHER_FOLDER = (
    "Another, empty folder is in the place of this one, as when a disk is not connected. Nothing was removed. "
    "If it is meant to be empty, remove this entry with its documents."
)


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as it was when it was last taken in or refused."""

    id: int
    size: int
    mtime_ns: int
    mounted: bool


@dataclass(slots=True)
class _Memory:
    """What one look leaves for the next: files that were changing, that were missing, that could not be read."""

    unsettled: dict[str, Seen] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    refused: Patience = field(default_factory=lambda: Patience(first=RETRY_SECONDS, longest=LONGEST_RETRY))


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder's row, as far as a look needs it."""

    id: str
    owner_id: str
    root: Path
    collection_id: str | None
    identity: str


class FolderLook:
    """Looks at folders. Nothing but the memory of unsettled files is kept here; all else stands in SQL."""

    def __init__(self, db: Database, documents: Documents, *, quiet: float = QUIET_SECONDS) -> None:
        self.db = db
        self.documents = documents
        self.quiet = quiet
        self._memories: dict[str, _Memory] = {}

    def look(self, source_id: str, ended: Ended) -> bool:
        """Bring the documents in line with the folder; True when there is more to do at once."""
        with self.db.read() as session:
            row = session.get(SourceRow, source_id)
            if row is None or row.paused:
                return False
            place = _Place(row.id, row.owner_id, Path(row.address), row.collection_id, row.identity)
            known, wanted = _known(session, source_id), row.wanted
        memory = self._memories.setdefault(source_id, _Memory())
        if wanted:  # somebody says that it is worth another try
            memory.refused.forget_all()
        try:
            found = scan(place.root, ended)
            self._check_place(place, found, known)
        except OSError:
            self._report(place, error=NOT_THERE)
            return False
        except SourceUnreachable as error:
            self._report(place, error=str(error))
            return False
        if ended():
            return True
        due = self._due(found, known, memory)
        more = self._take_in(place, due, known, found, memory, ended)
        if not more:
            self._remove_missing(place, found, known, memory)
        self._report(place, identity=found.identity, error=_complaint(found), done=len(due), total=len(due), more=more)
        return more

    def _check_place(self, place: _Place, found: Scan, known: dict[str, _Known]) -> None:
        """Raise SourceUnreachable when this is not the folder that was looked at before."""
        same = place.identity in ("", found.identity)
        if not same and known and not any(path in found.files for path in known):
            raise SourceUnreachable(OTHER_FOLDER)

    def _due(self, found: Scan, known: dict[str, _Known], memory: _Memory) -> dict[str, Seen]:
        """New and changed files that nobody is writing any more: unchanged for a while, or since the last look."""
        changed = {
            path: seen
            for path, seen in found.files.items()
            if (old := known.get(path)) is None or (old.size, old.mtime_ns) != (seen.size, seen.mtime_ns)
            if not memory.refused.waits(path, seen)
        }
        moment = time.time()
        settled = {
            path: seen
            for path, seen in changed.items()
            if memory.unsettled.get(path) == seen or not -60 < moment - seen.mtime_ns / 1e9 < self.quiet
        }
        memory.unsettled = {path: seen for path, seen in changed.items() if path not in settled}
        return settled

    def _take_in(
        self, place: _Place, due: dict[str, Seen], known: dict[str, _Known], found: Scan, memory: _Memory, ended: Ended
    ) -> bool:
        """Take files in until the time is up; True when some are left."""
        until, reported = time.monotonic() + BUDGET_SECONDS, time.monotonic()
        for done, path in enumerate(sorted(due)):
            if ended() or time.monotonic() > until:
                return True
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                self._report(place, done=done, total=len(due), more=True)
            self._take_one(place, path, found, known.get(path), memory.refused)
        return False

    def _take_one(self, place: _Place, path: str, found: Scan, old: _Known | None, refused: Patience) -> None:
        seen = found.files[path]
        item_id = old.id if old else self._item(place, path)
        facts = {"size": seen.size, "mtime_ns": seen.mtime_ns, "mounted": seen.mounted}
        name = clean_name(path)
        try:
            if seen.size > self.documents.limit:
                limit = self.documents.limit >> 20
                raise BadSource(f"{name} is larger than {limit} MB. Split it, or keep the part you need.")
            with opened(place.root, path, seen) as file:
                home = place.collection_id if old is None else None
                attach = from_item(item_id, **facts)
                added = self.documents.add(file, name=name, owner_id=place.owner_id, collection_id=home, attach=attach)
            refused.forget(path)
            if added.duplicate:
                follow_rename(self.db, place.id, added.document_id, path, found)
        except BadUpload as error:
            self._refuse(item_id, str(error), facts)
        except Changing:
            return  # it is looked at again when it is quiet
        except (BadSource, OSError) as error:  # which may be put right without a change of the file
            refused.failed(path, seen)
            self._refuse(item_id, _why(error, name), {**facts, **UNREAD})

    def _item(self, place: _Place, path: str) -> int:
        with self.db.write() as session:
            row = session.get(SourceRow, place.id)
            if row is None:
                raise NotFound("The folder was removed from the list.")
            query = select(SourceItemRow).where(SourceItemRow.source_id == place.id, SourceItemRow.address == path)
            item = session.scalar(query)
            if item is None:
                item = SourceItemRow(source_id=place.id, address=path, state=ItemState.queued.value)
                session.add(item)
                session.flush()
            return item.id

    def _refuse(self, item_id: int, error: str, facts: Mapping[str, object]) -> None:
        """Note why a file was not taken; what an earlier state of it brought stays."""
        told = {"error": error, **facts}
        with self.db.read() as session:  # most tries end like the one before
            item = session.get(SourceItemRow, item_id)
            if item is not None and item.document_id is None:
                told["state"] = ItemState.refused.value
            if item is None or all(getattr(item, name) == fact for name, fact in told.items()):
                return
        with self.db.write() as session:
            session.execute(update(SourceItemRow).where(SourceItemRow.id == item_id).values(**told))

    def _remove_missing(self, place: _Place, found: Scan, known: dict[str, _Known], memory: _Memory) -> None:
        """Forget files that two looks in a row did not find: programs that save a file may delete it for a moment."""
        absent = frozenset(
            path
            for path, old in known.items()
            if path not in found.files
            and found.knows(path)
            and not (old.mounted and _disk_gone(place.root, path, found))
        )
        confirmed = absent & memory.missing
        memory.missing = absent - confirmed
        if not confirmed:
            return
        ids = [known[path].id for path in confirmed]
        for at in range(0, len(ids), 500):
            with self.db.write() as session:
                for item in session.scalars(select(SourceItemRow).where(SourceItemRow.id.in_(ids[at : at + 500]))):
                    session.delete(item)

    def _report(
        self, place: _Place, *, identity: str = "", error: str = "", done: int = 0, total: int = 0, more: bool = False
    ) -> None:
        """Write down how the look went; one without news only now and then."""
        with self.db.read() as session:
            row = session.get(SourceRow, place.id)
            if row is None:
                return
            fresh = row.looked_at is not None and now() - row.looked_at < TOUCH
            news = (error, done, total, more, False, identity or row.identity)
            if fresh and not total and news == (row.error, 0, row.total, row.looking, row.wanted, row.identity):
                return
        with self.db.write() as session:
            row = session.get(SourceRow, place.id)
            if row is not None:
                row.looking, row.wanted, row.error, row.looked_at = more, False, error, now()
                row.done, row.total, row.identity = (done, total, identity or row.identity)
                if not more:
                    row.done = row.total = 0


def _known(session: Session, source_id: str) -> dict[str, _Known]:
    """All files of a folder that are known, as plain values: ten thousand rows as objects would take a second."""
    columns = (
        SourceItemRow.address, SourceItemRow.id, SourceItemRow.size, SourceItemRow.mtime_ns, SourceItemRow.mounted,
    )  # fmt: skip
    query = select(*columns).where(SourceItemRow.source_id == source_id, SourceItemRow.state != ItemState.queued.value)
    return {path: _Known(id, size, time, disk) for path, id, size, time, disk in session.execute(query)}


def _disk_gone(root: Path, path: str, found: Scan) -> bool:
    """Whether a file of another disk is missing because the disk is: the folder it hung in is the empty one below."""
    for parent in (root / path).parents:
        try:
            return os.stat(parent).st_dev == found.device
        except OSError:
            continue
    return True


def _why(error: BadSource | OSError, name: str) -> str:
    if isinstance(error, BadSource):
        return str(error)
    reason = "may not be read. Check its permissions" if isinstance(error, PermissionError) else "cannot be read"
    return f"{name} {reason}."


def _complaint(found: Scan) -> str:
    if found.too_many:
        return f"There are more than {MOST_FILES:,} files. The rest was left out, and nothing is removed."
    if found.unreadable:
        path = min(found.unreadable)
        first = clean_name(path)
        more = f" and {len(found.unreadable) - 1:,} more" if len(found.unreadable) > 1 else ""
        if not is_text(path):
            return f"{first}{more} cannot be read: the name is not UTF-8. Rename it. What was known stays."
        return f"{first}{more} may not be read. What was known of it stays."
    return ""
