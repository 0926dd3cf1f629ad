"""Keyword search: FTS5 with BM25, in the same database and transaction as the chunks."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Float, Integer, String, column, func, select, table
from sqlalchemy import literal_column as literal
from sqlalchemy.orm import Session

from core.retrieval.counts import Counts
from core.retrieval.query import Query, any_of, understand
from core.retrieval.store import visible
from core.storage.db import Database
from core.storage.tables import ChunkRow, DocumentRow
from core.types import Scope

# What stands over a chunk repeats on every chunk of a section: it helps, but must not outweigh the text.
TEXT_WEIGHT, HEAD_WEIGHT = 1.0, 0.5
AHEAD = 4  # times as many as asked for are looked at before looking at all
# Chunks that are ranked for one query. A word in a tenth of all chunks takes as long as all rare ones together and
# tells least, so the rare ones are looked for until there are so many; the second stage counts the others too.
RANKED = 6000

WORDS = table("chunk_words", column("rowid", Integer), column("chunk_words", String))


class KeywordIndex:
    """Finds chunks by their words; nothing to build or load, SQLite keeps it with the rows."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.counts = Counts()

    def understand(self, text: str, scope: Scope) -> Query:
        """The query, its words in the forms of the languages of the owner's documents."""
        with self.db.read() as session:
            return understand(text, self.counts.languages(session, scope.owner_id))

    def search(self, query: str | Query, scope: Scope, k: int) -> list[tuple[int, float]]:
        """The k best chunks in the scope as (chunk id, score), best first; higher scores are better.

        Chunks that hold what the query has in quotes come before all others.
        """
        asked = self.understand(query, scope) if isinstance(query, str) else query
        if not asked.units:
            return []
        named = [form for name in asked.identifiers for form in name.forms if len(form) > 1]
        with self.db.read() as session:
            rare, all_of_them = self._terms(session, asked)
            # The best of all are found much faster than the best of a scope, and mostly are in it.
            found = [] if scope.document_ids else _best(session, any_of([*rare, *named]), scope, k, among=AHEAD * k)
            if len(found) < k:
                found = _best(session, any_of([*all_of_them, *named]), scope, k)
            quoted = _best(session, any_of(form for phrase in asked.phrases for form in phrase.forms), scope, k)
        lift = max((score for _, score in found), default=0.0)
        first = {id: score + lift for id, score in quoted}
        return [*first.items(), *(pair for pair in found if pair[0] not in first)][:k]

    def under(self, session: Session, names: Iterable[str], scope: Scope, k: int) -> list[int]:
        """The k chunks in the scope whose titles and headings hold most of these terms; frequent ones are left out."""
        counted = self.counts.frequencies(session, names)
        told = any_of((name,) for name, count in counted.items() if 0 < count <= RANKED // 10)
        return [id for id, _ in _best(session, f"{{head_words}} : ({told})" if told else "", scope, k)]

    def rarity(self, session: Session, query: Query) -> tuple[dict[str, int], int]:
        """How many chunks hold each form of the words of a query, and how many chunks there are."""
        forms = (form for unit in query.units for form in unit.forms)
        return self.counts.frequencies(session, forms), self.counts.chunks(session)

    def _terms(self, session: Session, query: Query) -> tuple[list[tuple[str]], list[tuple[str]]]:
        """The rarest terms of a query, which few chunks hold, and all of them that any chunk holds."""
        counted, _ = self.rarity(session, query)
        by_rarity = sorted((form for form, count in counted.items() if count), key=counted.__getitem__)
        rare, ranked = 0, 0
        for form in by_rarity:
            ranked += counted[form]
            if rare and ranked > RANKED:
                break
            rare += 1
        terms = [(form,) for form in by_rarity]
        return terms[:rare], terms


def _best(session: Session, match: str, scope: Scope, k: int, *, among: int | None = None) -> list[tuple[int, float]]:
    if not match:
        return []
    score = func.bm25(literal("chunk_words"), TEXT_WEIGHT, HEAD_WEIGHT, type_=Float)
    matching = select(WORDS.c.rowid, score.label("score")).where(WORDS.c.chunk_words.op("MATCH")(match))
    if among is None and scope.narrowed:  # what the scope may not see is not ranked either
        allowed = select(ChunkRow.id).join(DocumentRow, DocumentRow.id == ChunkRow.document_id).where(*visible(scope))
        matching = matching.where(WORDS.c.rowid.in_(allowed))
    found = matching.order_by("score").limit(among if among is not None else -1).subquery("found")
    statement = (
        select(found.c.rowid, found.c.score)
        .join(ChunkRow, ChunkRow.id == found.c.rowid)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(*visible(scope))
        .order_by(found.c.score)
        .limit(k)
    )
    return [(id, -score) for id, score in session.execute(statement)]
