"""Whole documents for those who want a summary: which one is meant, and its sections in reading order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select

from core.retrieval.places import words_at
from core.retrieval.store import visible
from core.storage.db import Database
from core.storage.tables import ChunkRow, DocumentRow
from core.types import Passage, Scope

PART = 6_000  # characters that are read at once: about 1,500 tokens, fifteen seconds on two cores
MOST_TITLES = 2_000
TELLING = 4  # letters that a title must have to be recognised in a question
ENDING = re.compile(r"\.\w{1,5}$")


@dataclass(frozen=True, slots=True)
class Titled:
    """A document by its id and title."""

    id: str
    title: str


class Outline:
    """Reads documents as they are stored."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def meant(self, question: str, scope: Scope) -> Titled | None:
        """The document that a question is about: the only one in the scope, or the one it names; else None."""
        query = (
            select(DocumentRow.id, DocumentRow.title, DocumentRow.name)
            .where(*visible(scope), DocumentRow.id.in_(select(ChunkRow.document_id)))
            .limit(MOST_TITLES)
        )
        with self.db.read() as session:
            rows = [(id, title, name) for id, title, name in session.execute(query)]
        if len(rows) == 1:
            return Titled(rows[0][0], rows[0][1] or rows[0][2])
        asked = f" {_plain(question)} "
        named = [
            (len(words), Titled(id, title or name))
            for id, title, name in rows
            for words in {_plain(title), _plain(ENDING.sub("", name))}
            if len(words) >= TELLING and f" {words} " in asked
        ]
        best = max((length for length, _ in named), default=0)
        longest = {found.id: found for length, found in named if length == best}
        return next(iter(longest.values())) if len(longest) == 1 else None

    def parts(self, document: Titled, scope: Scope) -> list[Passage]:
        """The document in pieces of whole sections, as large as can be read at once, in reading order."""
        query = (
            select(ChunkRow.start, ChunkRow.end, ChunkRow.page, ChunkRow.heading)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(ChunkRow.document_id == document.id, *visible(scope))
            .order_by(ChunkRow.position)
        )
        with self.db.read() as session:
            places: list[tuple[int, int, int | None, str]] = []
            for start, end, page, heading in session.execute(query):
                if places and end - places[-1][0] <= PART:
                    places[-1] = (places[-1][0], max(end, places[-1][1]), *places[-1][2:])
                else:
                    places.append((start, end, page, heading))
            words = words_at(session, ((document.id, start, end) for start, end, _, _ in places))
        return [
            Passage(0, document.id, document.title, words.get((document.id, start, end), ""), start, end, page, heading,
                    rank, 0.0)
            for rank, (start, end, page, heading) in enumerate(places, 1)
        ]  # fmt: skip


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
