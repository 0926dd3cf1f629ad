"""What a document as a whole is about: a passage of a report says "we", and the name stands in its other chunks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.retrieval.keyword import WORDS
from core.retrieval.query import Query, any_of
from core.storage.tables import ChunkRow

# Chunks and words that are counted for one query. Rare words come first: they tell documents apart, and cost little.
COUNTED, MOST_UNITS = 12_000, 20
ENOUGH = 5  # chunks with a word that are half of all that any number of them can say


def about(session: Session, query: Query, frequencies: Mapping[str, int], documents: int) -> dict[str, float]:
    """For every document that holds words of the query, how much it is about them: from 0 to 1.

    Each word counts by how few of the `documents` hold it, and by how many of their chunks do.
    """
    scores: dict[str, float] = {}
    total, counted = 0.0, 0
    found = [(sum(frequencies.get(form, 0) for form in unit.forms), unit) for unit in query.units]
    for chunks, unit in sorted((pair for pair in found if pair[0]), key=lambda pair: pair[0])[:MOST_UNITS]:
        counted += chunks
        if counted > COUNTED:
            break
        holding = _holding(session, unit.forms)
        weight = math.log(1 + (max(0, documents - len(holding)) + 0.5) / (len(holding) + 0.5))
        total += weight
        for document, times in holding.items():
            scores[document] = scores.get(document, 0.0) + weight * times / (times + ENOUGH)
    return {document: score / total for document, score in scores.items()} if total else {}


def _holding(session: Session, forms: tuple[str, ...]) -> dict[str, int]:
    """How many chunks of each document hold one of these terms."""
    query = (
        select(ChunkRow.document_id, func.count())
        .join(WORDS, WORDS.c.rowid == ChunkRow.id)
        .where(WORDS.c.chunk_words.op("MATCH")(any_of((form,) for form in forms)))
        .group_by(ChunkRow.document_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}
