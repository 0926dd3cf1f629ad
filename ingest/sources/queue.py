"""The pages of a site as a queue in SQL: what a look has still to ask stands there, so that a kill loses nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.retrieval.store import FOUND
from core.sources.address import Site
from core.sources.book import next_time
from core.sources.types import WEB, ItemState
from core.storage.tables import DocumentRow, SourceItemRow, SourceRow, now

# A page that answers "not found", or leads elsewhere, is gone when a second look, so much later, is told the same.
CONFIRM = timedelta(hours=1)
RETRY = timedelta(minutes=10)
LONGEST_RETRY = timedelta(days=1)
TRIES = 3  # looks at a site that was never reached and that has no interval


@dataclass(frozen=True, slots=True)
class Target:
    """The next page to ask, with what is known about it."""

    item_id: int
    address: str
    depth: int
    sha256: str
    etag: str
    modified: str
    is_start: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a look has to know about its source."""

    id: str
    owner_id: str
    address: str
    site: Site
    depth: int
    collection_id: str | None
    round: int


def begin(session: Session, row: SourceRow) -> None:
    """Start a look: every known page is asked again, and those that the settings no longer want are dropped."""
    row.looking, row.wanted, row.error, row.round = True, False, "", row.round + 1
    site = Site(row.base or row.address, row.within)
    known: dict[str, SourceItemRow] = {}
    for item in session.scalars(select(SourceItemRow).where(SourceItemRow.source_id == row.id)):
        start = item.address in (row.address, row.base)
        if not start and (item.depth > row.depth or not site.holds(item.address)):
            session.delete(item)
            continue
        known[item.address] = item
        if item.state != ItemState.alias.value:
            item.wanted = row.round
    first = known.get(row.address) or _new(row, row.address, 0)
    session.add(first)
    first.wanted, first.depth = row.round, 0
    count(session, row.id)


def plan_of(row: SourceRow) -> Plan:
    site = Site(row.base or row.address, row.within)
    return Plan(row.id, row.owner_id, row.address, site, row.depth, row.collection_id, row.round)


def next_target(session: Session, row: SourceRow) -> Target | None:
    """The nearest page that this look has not asked yet."""
    item = session.scalar(
        select(SourceItemRow)
        .where(SourceItemRow.source_id == row.id, SourceItemRow.wanted == row.round, SourceItemRow.seen < row.round)
        .order_by(SourceItemRow.depth, SourceItemRow.id)
        .limit(1)
    )
    if item is None:
        return None
    start = item.address == row.address
    return Target(item.id, item.address, item.depth, item.sha256, item.etag, item.modified, start)


def enqueue(session: Session, row: SourceRow, addresses: Iterable[str], depth: int, *, most: int) -> bool:
    """Let these pages be asked too; False when there are more than the site may have."""
    wanted = list(dict.fromkeys(addresses))
    known: dict[str, SourceItemRow] = {}
    for at in range(0, len(wanted), 500):
        query = select(SourceItemRow).where(
            SourceItemRow.source_id == row.id, SourceItemRow.address.in_(wanted[at : at + 500])
        )
        known |= {item.address: item for item in session.scalars(query)}
    number = session.scalar(select(func.count()).where(SourceItemRow.source_id == row.id)) or 0
    for address in wanted:
        item = known.get(address)
        if item is None:
            if number >= most:
                return False
            item, number = _new(row, address, depth), number + 1
            session.add(item)
        item.wanted, item.depth = row.round, min(item.depth, depth)
    session.flush()
    return True


def item_for(session: Session, row: SourceRow, address: str, depth: int) -> SourceItemRow:
    """The item of an address that a redirect led to; made when there is none."""
    item = session.scalar(
        select(SourceItemRow).where(SourceItemRow.source_id == row.id, SourceItemRow.address == address)
    )
    if item is None:
        item = _new(row, address, depth)
        session.add(item)
        session.flush()
    item.wanted, item.depth = row.round, min(item.depth, depth)
    return item


def missing(session: Session, item: SourceItemRow, status: int) -> None:
    """The server has no such page (any more). Reported at once; removed when that is confirmed."""
    if _is_confirmed(item, f"The server says that this page is not there ({status})."):
        session.delete(item)


def lead_on(session: Session, item: SourceItemRow, other: SourceItemRow) -> None:
    """The page is another one now. What it has goes when that is confirmed and the other one can be found.

    A sign-in, or a page that says "closed for repairs", is no reason to forget at once what was there.
    """
    if has_document(item):
        confirmed = _is_confirmed(item, f"The site says that this page is {other.address} now.")
        if not (confirmed and is_found(session, other)):
            return
    item.state, item.error, item.gone_at = ItemState.alias.value, "", None
    item.document_id = item.previous_id = None
    item.sha256 = item.etag = item.modified = ""


def has_document(item: SourceItemRow) -> bool:
    """Whether questions may find something because of this page."""
    return item.document_id is not None or item.previous_id is not None


def is_found(session: Session, item: SourceItemRow) -> bool:
    """Whether questions find what is at this page now."""
    row = session.get(DocumentRow, item.document_id) if item.document_id else None
    return row is not None and row.status in FOUND


def _is_confirmed(item: SourceItemRow, told: str) -> bool:
    """Whether an earlier look was told the same, long enough ago; what is told for the first time is noted."""
    if item.gone_at is not None and item.error == told:
        return now() - item.gone_at >= CONFIRM
    item.state, item.error, item.gone_at = ItemState.gone.value, told, now()
    return False


def count(session: Session, source_id: str) -> None:
    """Write down how far the look is."""
    row = session.get(SourceRow, source_id)
    if row is None:
        return
    session.flush()
    asked = (SourceItemRow.source_id == row.id, SourceItemRow.wanted == row.round)
    row.total = session.scalar(select(func.count()).where(*asked)) or 0
    row.done = session.scalar(select(func.count()).where(*asked, SourceItemRow.seen == row.round)) or 0


def finish(session: Session, row: SourceRow, note: str = "") -> None:
    """End a look that got through."""
    first = session.scalar(
        select(SourceItemRow).where(SourceItemRow.source_id == row.id, SourceItemRow.address == row.address)
    )
    count(session, row.id)
    row.looking, row.failures, row.looked_at, row.next_at = False, 0, now(), next_time(row)
    row.error = (first.error if first else "") or note or row.error


def fail(session: Session, row: SourceRow, error: str) -> None:
    """End a look that could not begin; it is tried again, later each time. One that was cancelled stays so."""
    if row.kind == WEB and not _is_due(row):
        return
    row.looking, row.error, row.failures = False, error, row.failures + 1
    wait = min(RETRY * 2 ** min(row.failures - 1, 10), LONGEST_RETRY)
    again = row.interval_minutes or (row.looked_at is None and row.failures < TRIES)
    row.next_at = now() + wait if again else None
    session.execute(
        update(SourceItemRow)
        .where(SourceItemRow.source_id == row.id, SourceItemRow.address == row.address)
        .values(error=error)
    )


def _is_due(row: SourceRow) -> bool:
    return row.wanted or row.looking or (row.next_at is not None and row.next_at <= now())


def _new(row: SourceRow, address: str, depth: int) -> SourceItemRow:
    return SourceItemRow(
        source_id=row.id, address=address, depth=depth, state=ItemState.queued.value, wanted=row.round, seen=0,
        error="", sha256="", etag="", modified="",
    )  # fmt: skip
