"""What a document as a whole is about: a passage of a report says "we", and the name stands in its other chunks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from core.retrieval.keyword import WORDS
from core.retrieval.query import Query, Unit, any_of
from core.retrieval.store import visible
from core.storage.tables import ChunkRow, DocumentRow
from core.types import Scope

# Chunks and words that are counted for one query. Rare words come first: they tell documents apart, and cost little.
COUNTED, MOST_UNITS = 12_000, 20
ENOUGH = 5  # chunks with a word that are half of all that any number of them can say


def about(
    session: Session, query: Query, frequencies: Mapping[str, int], owner_id: str, documents: int
) -> dict[str, float]:
    """For every document of the owner that holds words of the query, how much it is about them: from 0 to 1.

    Each word counts by how few of the owner's `documents` hold it, and by how many of their chunks do.
    """
    scores: dict[str, float] = {}
    total = 0.0
    for holding in _holding(session, _counted(query, frequencies), owner_id):
        weight = math.log(1 + (max(0, documents - len(holding)) + 0.5) / (len(holding) + 0.5))
        total += weight
        for document, times in holding.items():
            scores[document] = scores.get(document, 0.0) + weight * times / (times + ENOUGH)
    return {document: score / total for document, score in scores.items()} if total else {}


def _counted(query: Query, frequencies: Mapping[str, int]) -> list[Unit]:
    """The rarest words of the query, as many as may be counted."""
    found = [(sum(frequencies.get(form, 0) for form in unit.forms), unit) for unit in query.units]
    chosen, counted = [], 0
    for chunks, unit in sorted((pair for pair in found if pair[0]), key=lambda pair: pair[0])[:MOST_UNITS]:
        counted += chunks
        if counted > COUNTED:
            break
        chosen.append(unit)
    return chosen


def _holding(session: Session, units: Sequence[Unit], owner_id: str) -> list[dict[str, int]]:
    """For each word how many chunks of each of the owner's documents hold it."""
    held: list[dict[str, int]] = [{} for _ in units]
    if not units:
        return held
    counted = union_all(
        *(
            select(literal(place).label("place"), ChunkRow.document_id, func.count().label("times"))
            .join(WORDS, WORDS.c.rowid == ChunkRow.id)
            .where(WORDS.c.chunk_words.op("MATCH")(any_of((form,) for form in unit.forms)))
            .group_by(ChunkRow.document_id)
            for place, unit in enumerate(units)
        )
    ).subquery("counted")
    query = (
        select(counted.c.place, counted.c.document_id, counted.c.times)
        .join(DocumentRow, DocumentRow.id == counted.c.document_id)
        .where(*visible(Scope(owner_id)))
    )
    for place, document, times in session.execute(query):
        held[place][document] = times
    return held
