"""A chunk on its way through the stages of a search, and reading what the stages need of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.retrieval.store import visible
from core.storage.tables import ChunkRow, DocumentRow
from core.types import Scope

SEPARATOR = " › "  # between the headings above a chunk


@dataclass(slots=True)
class Candidate:
    """What is known of a chunk; every stage adds its scores. `dense` is None without a vector or an embedder."""

    id: int
    document_id: str
    position: int
    title: str
    section: str  # the last of the headings above it
    language: str
    words: list[str]
    heads: list[str]
    text: str
    keyword: float | None = None
    dense: float | None = None
    fused: float = 0.0
    score: float = 0.0
    rerank: float | None = None
    parts: dict[str, float] = field(default_factory=dict)


def mean_length(found: Collection[Candidate]) -> float:
    """The terms of a chunk in the mean, at least one."""
    return max(1.0, sum(len(one.words) for one in found) / max(1, len(found)))


def read(session: Session, ids: Iterable[int], scope: Scope) -> dict[int, Candidate]:
    """Those of the chunks that the scope may see."""
    query = (
        select(
            ChunkRow.id, ChunkRow.document_id, ChunkRow.position, DocumentRow.title, ChunkRow.heading,
            DocumentRow.language, ChunkRow.words, ChunkRow.head_words, ChunkRow.text,
        )
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(ChunkRow.id.in_(list(ids)), *visible(scope))
    )  # fmt: skip
    return {
        id: Candidate(
            id,
            document,
            position,
            title,
            heading.rsplit(SEPARATOR, 1)[-1],
            language,
            words.split(),
            heads.split(),
            text,
        )
        for id, document, position, title, heading, language, words, heads, text in session.execute(query)
    }
