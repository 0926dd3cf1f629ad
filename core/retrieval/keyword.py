"""Keyword search: FTS5 with BM25, in the same database and transaction as the chunks."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import Float, Integer, String, column, func, select, table
from sqlalchemy import literal_column as literal

from core.retrieval.store import visible
from core.storage.db import Database
from core.storage.tables import ChunkRow, DocumentRow
from core.types import Scope

MOST_TERMS = 64
# The heading repeats on every chunk of a section: it helps, but must not outweigh the text.
TEXT_WEIGHT, HEADING_WEIGHT, CONTEXT_WEIGHT = 1.0, 0.5, 0.5

WORDS = table("chunk_words", column("rowid", Integer), column("chunk_words", String))
TERM = re.compile(r"[^\W_]+(?:[.'’-][^\W_]+)*", re.UNICODE)


class KeywordIndex:
    """Finds chunks by their words; nothing to build or load, SQLite keeps it with the rows."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def search(self, query: str, scope: Scope, k: int) -> list[tuple[int, float]]:
        """The k best chunks in the scope as (chunk id, score), best first; higher scores are better."""
        match = expression(query)
        if not match:
            return []
        score = func.bm25(literal("chunk_words"), TEXT_WEIGHT, HEADING_WEIGHT, CONTEXT_WEIGHT, type_=Float)
        statement = (
            select(WORDS.c.rowid, score.label("score"))
            .join(ChunkRow, ChunkRow.id == WORDS.c.rowid)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(WORDS.c.chunk_words.op("MATCH")(match), *visible(scope))
            .order_by("score")
            .limit(k)
        )
        with self.db.read() as session:
            return [(id, -score) for id, score in session.execute(statement)]


def expression(query: str) -> str:
    """Any of the words of the query, each quoted: whatever people type, nothing of it is FTS5 syntax."""
    terms = dict.fromkeys(TERM.findall(unicodedata.normalize("NFKC", query).lower()))
    return " OR ".join(f'"{term}"' for term in list(terms)[:MOST_TERMS])
