"""What is known of the library as a whole: chunks, documents, how many hold a term, which languages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Integer, String, column, func, select, table
from sqlalchemy.orm import Session

from core.retrieval.store import FOUND, current_generation, visible
from core.storage.tables import DocumentRow
from core.types import Scope

TERMS = table("chunk_words_terms", column("term", String), column("doc", Integer))
LENGTHS = table("chunk_words_docsize", column("id", Integer))
TERMS_KEPT = 20_000
MOST_LANGUAGES = 12


@dataclass
class Known:
    """Counts of one generation."""

    generation: int
    chunks: int = 0
    documents: dict[str, int] = field(default_factory=dict)
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

    def documents(self, session: Session, owner_id: str) -> int:
        """How many of the owner's documents can be found."""
        known = self._current(session)
        if owner_id not in known.documents:
            query = select(func.count()).select_from(DocumentRow).where(*visible(Scope(owner_id)))
            known.documents[owner_id] = session.scalar(query) or 0
        return known.documents[owner_id]

    def frequencies(self, session: Session, terms: Iterable[str]) -> dict[str, int]:
        """How many chunks hold each of the terms; those of everybody, so the figures must not be shown."""
        known, wanted = self._current(session), list(dict.fromkeys(terms))
        found = {term: known.frequencies[term] for term in wanted if term in known.frequencies}
        missing = [term for term in wanted if term not in found]
        if missing:
            asked = func.json_each(json.dumps(missing)).table_valued("value")
            rows = session.execute(select(TERMS.c.term, TERMS.c.doc).where(TERMS.c.term.in_(select(asked.c.value))))
            counted = dict.fromkeys(missing, 0) | {row[0]: row[1] for row in rows}
            found |= counted
            if len(known.frequencies) + len(counted) <= TERMS_KEPT:
                known.frequencies |= counted
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
