"""What is known of the library as a whole: chunks, documents, how many hold a term, which languages."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Integer, String, column, func, select, table
from sqlalchemy.orm import Session

from core.retrieval.store import FOUND, current_generation
from core.storage.tables import DocumentRow

TERMS = table("chunk_words_terms", column("term", String), column("doc", Integer))
LENGTHS = table("chunk_words_docsize", column("id", Integer))
TERMS_KEPT = 20_000
MOST_LANGUAGES = 12


@dataclass
class Known:
    """Counts of one generation."""

    generation: int
    chunks: int = 0
    documents: int = 0
    frequencies: dict[str, int] = field(default_factory=dict)
    languages: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Counts:
    """Counts over all chunks, kept until a document comes or goes. Thread-safe."""

    def __init__(self) -> None:
        self._known = Known(-1)
        self._lock = threading.Lock()

    def chunks(self, session: Session) -> int:
        """How many chunks there are."""
        known = self._current(session)
        if not known.chunks:
            known.chunks = session.scalar(select(func.count()).select_from(LENGTHS)) or 0
        return known.chunks

    def documents(self, session: Session) -> int:
        """How many documents can be found."""
        known = self._current(session)
        if not known.documents:
            query = select(func.count()).select_from(DocumentRow).where(DocumentRow.status.in_(FOUND))
            known.documents = session.scalar(query) or 0
        return known.documents

    def frequencies(self, session: Session, terms: Iterable[str]) -> dict[str, int]:
        """How many chunks hold each of the terms; those of everybody, so the figures must not be shown."""
        known, found = self._current(session), {}
        for term in terms:
            if (count := known.frequencies.get(term)) is None:
                count = session.scalar(select(TERMS.c.doc).where(TERMS.c.term == term)) or 0
                if len(known.frequencies) < TERMS_KEPT:
                    known.frequencies[term] = count
            found[term] = count
        return found

    def languages(self, session: Session, owner_id: str) -> tuple[str, ...]:
        """The languages of the owner's documents, most frequent first; "" stands for those that are not known."""
        known = self._current(session)
        if owner_id not in known.languages:
            query = (
                select(DocumentRow.language)
                .where(DocumentRow.owner_id == owner_id, DocumentRow.status.in_(FOUND))
                .group_by(DocumentRow.language)
                .order_by(func.count().desc(), DocumentRow.language)
            )
            known.languages[owner_id] = tuple(session.scalars(query.limit(MOST_LANGUAGES)))
        return known.languages[owner_id]

    def _current(self, session: Session) -> Known:
        if "generation" not in session.info:  # a session sees one snapshot
            session.info["generation"] = current_generation(session)
        generation = session.info["generation"]
        with self._lock:
            if self._known.generation != generation:
                self._known = Known(generation)
            return self._known
