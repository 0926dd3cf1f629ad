"""Which embedder's vectors serve questions. Only one does: vectors of two are never compared with each other."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.storage.tables import PreferenceRow, VectorRow

SERVING = "serving_embedder"  # the preference that names it
REBUILD = "rebuild"  # the kind of job that builds the vectors of another embedder beside those that serve


def serving(session: Session, wanted: str) -> str:
    """The embedder that serves; `wanted` in an installation that has no vectors yet."""
    kept = session.get(PreferenceRow, SERVING)
    if kept is not None:
        return kept.value
    most = select(VectorRow.embedder).group_by(VectorRow.embedder).order_by(func.count().desc()).limit(1)
    return session.scalar(most) or wanted
