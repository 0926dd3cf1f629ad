"""Which embedder's vectors serve questions. Only one does: vectors of two are never compared with each other."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.storage.tables import ChunkRow, DocumentRow, PreferenceRow, VectorDraftRow, VectorRow
from core.types import DocumentStatus

SERVING = "serving_embedder"  # the preference that names it
WANTED = "wanted_embedder"  # which one is being built
DECLINED = "declined_embedder"  # which one was given up: it is not begun again by itself
RECUT = "recut"  # the kind of job that cuts a document anew
REBUILD = "rebuild"  # the kind of job that builds the vectors of another embedder beside those that serve


def serving(session: Session, wanted: str) -> str:
    """The embedder that serves; `wanted` in an installation that has no vectors yet."""
    kept = session.get(PreferenceRow, SERVING)
    if kept is not None:
        return kept.value
    # Every search asks this, and there is nearly always one embedder: its name is the first and the last of the index.
    first, last = (select(end(VectorRow.embedder)).scalar_subquery() for end in (func.min, func.max))
    names = session.execute(select(first, last)).one()
    if names[0] == names[1]:
        return names[0] or wanted
    most = select(VectorRow.embedder).group_by(VectorRow.embedder).order_by(func.count().desc()).limit(1)
    return session.scalar(most) or wanted


def lacking(session: Session, embedder: str) -> list[str]:
    """The ready documents that have not all their vectors of an embedder."""
    there = select(VectorRow.chunk_id).where(VectorRow.chunk_id == ChunkRow.id, VectorRow.embedder == embedder).exists()
    query = (
        select(ChunkRow.document_id)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(DocumentRow.status == DocumentStatus.ready.value, ~there)
        .distinct()
    )
    return list(session.scalars(query))


def take_over(session: Session, embedder: str) -> None:
    """Let an embedder serve from the end of this transaction on, and forget the vectors of all others."""
    session.merge(PreferenceRow(name=SERVING, value=embedder))
    session.flush()
    discard_others(session, embedder)


def discard_others(session: Session, wanted: str) -> None:
    """Forget the vectors of every embedder but the one that serves."""
    kept = serving(session, wanted)
    session.execute(delete(VectorRow).where(VectorRow.embedder != kept))
    session.execute(delete(VectorDraftRow).where(VectorDraftRow.embedder != kept))


def decline(session: Session) -> None:
    """Give up the embedder that is being built: its vectors go, the one that serves stays."""
    building = session.get(PreferenceRow, WANTED)
    if building is not None:
        session.merge(PreferenceRow(name=DECLINED, value=building.value))
        discard_others(session, building.value)
