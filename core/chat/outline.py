"""Whole documents for those who want a summary: which one is meant, and its sections in reading order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from core.retrieval.store import visible
from core.storage.db import Database
from core.storage.tables import ChunkRow, DocumentRow, DocumentTextRow
from core.types import Passage, Scope
from core.words import pieces

MOST_TITLES = 20_000  # that are looked through, the newest first
TELLING, TELLING_SIGNS = 4, 2  # letters that a title must have to be recognised in a question; signs without blanks
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
            .where(*visible(scope), select(ChunkRow.id).where(ChunkRow.document_id == DocumentRow.id).exists())
            .order_by(DocumentRow.created_at.desc(), DocumentRow.id)
            .limit(MOST_TITLES)
        )
        with self.db.read() as session:
            rows = [(id, title, name) for id, title, name in session.execute(query)]
        if len(rows) == 1:
            return Titled(rows[0][0], rows[0][1] or rows[0][2])
        asked, _ = _plain(question)
        named = [
            (len(words), Titled(id, title or name))
            for id, title, name in rows
            for words, spaced in {_plain(title), _plain(ENDING.sub("", name))}
            if len(words) >= (TELLING if spaced else TELLING_SIGNS)
            and (f" {words} " in f" {asked} " if spaced else words in asked)
        ]
        best = max((length for length, _ in named), default=0)
        longest = {found.id: found for length, found in named if length == best}
        return next(iter(longest.values())) if len(longest) == 1 else None

    def parts(self, document: Titled, scope: Scope, size: Callable[[str], int]) -> list[Passage]:
        """The document in pieces of whole sections in reading order.

        `size` tells for the document's text how many characters a piece has at the most.
        """
        query = (
            select(ChunkRow.start, ChunkRow.end, ChunkRow.page, ChunkRow.heading)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(ChunkRow.document_id == document.id, *visible(scope))
            .order_by(ChunkRow.position)
        )
        places: list[tuple[int, int, int | None, str]] = []
        with self.db.read() as session:
            chunks = session.execute(query).all()
            words = select(DocumentTextRow.text).where(DocumentTextRow.document_id == document.id)
            text = (session.scalar(words) or "") if chunks else ""
        most = size(text)
        for start, end, page, heading in chunks:
            if places and end - places[-1][0] <= most:
                places[-1] = (places[-1][0], max(end, places[-1][1]), *places[-1][2:])
            else:
                places.append((start, end, page, heading))
        return [
            Passage(0, document.id, document.title, text[start:end], start, end, page, heading, rank, 0.0)
            for rank, (start, end, page, heading) in enumerate(places, 1)
        ]


def _plain(text: str) -> tuple[str, bool]:
    """The words of a text in small letters, and whether blanks stand between them in its script."""
    found = list(pieces(text, ""))
    return " ".join(piece.text for piece in found), all(piece.spaced for piece in found)
