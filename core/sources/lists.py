"""Reading sources with what became of their pages and files."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.library import BUSY
from core.retrieval.store import FOUND
from core.sources.types import FOLDER, ItemState, Source, SourceCounts, SourceItem, SourceState
from core.storage.tables import CollectionRow, DocumentRow, SourceItemRow, SourceRow
from core.types import DocumentStatus

BUSY_NAMES = {status.value for status in BUSY}


def read_sources(session: Session, owner_id: str, source_id: str = "") -> list[Source]:
    """All sources of somebody, the newest first; or only this one."""
    query = (
        select(SourceRow, CollectionRow.name)
        .outerjoin(CollectionRow, CollectionRow.id == SourceRow.collection_id)
        .where(SourceRow.owner_id == owner_id)
        .order_by(SourceRow.created_at.desc(), SourceRow.id)
    )
    if source_id:
        query = query.where(SourceRow.id == source_id)
    rows = session.execute(query).all()
    counts = _counts(session, [row.id for row, _ in rows])
    return [_source(row, name or "", counts.get(row.id, SourceCounts())) for row, name in rows]


def item_of(row: SourceItemRow) -> SourceItem:
    return SourceItem(row.address, ItemState(row.state), row.error, row.document_id, row.gone_at)


def state_of(row: SourceRow) -> SourceState:
    """What is going on with a source, in one word."""
    if row.paused:
        return SourceState.paused
    if row.looking:
        return SourceState.looking
    if row.wanted:
        return SourceState.waiting
    if row.error:
        return SourceState.failed
    return SourceState.followed if row.kind == FOLDER or row.interval_minutes else SourceState.done


def _source(row: SourceRow, collection: str, counts: SourceCounts) -> Source:
    return Source(
        row.id, row.kind, row.address, row.depth, row.within, row.collection_id, collection, row.interval_minutes,
        state_of(row), row.error, row.done, row.total, row.looked_at, row.next_at, row.created_at, counts,
    )  # fmt: skip


def _counts(session: Session, source_ids: list[str]) -> dict[str, SourceCounts]:
    query = (
        select(SourceItemRow.source_id, SourceItemRow.state, DocumentRow.status, func.count())
        .outerjoin(DocumentRow, DocumentRow.id == SourceItemRow.document_id)
        .where(SourceItemRow.source_id.in_(source_ids), SourceItemRow.state != ItemState.alias.value)
        .group_by(SourceItemRow.source_id, SourceItemRow.state, DocumentRow.status)
    )
    summed: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for source_id, state, status, number in session.execute(query):
        sums = summed[source_id]
        sums["known"] += number
        if state in (ItemState.refused, ItemState.gone):
            sums[state] += number
        if status in FOUND:
            sums["found"] += number
        elif status in BUSY_NAMES:
            sums["busy"] += number
        elif status == DocumentStatus.failed:
            sums["failed"] += number
        elif state == ItemState.present:
            sums["deleted"] += number
    return {source_id: SourceCounts(**sums) for source_id, sums in summed.items()}
