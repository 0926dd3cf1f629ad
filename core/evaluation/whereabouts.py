"""How far an expected answer came: in which file, text, chunk, place of the ranking and prompt it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, select

from core.evaluation.relation import LEAST, holds
from core.retrieval.store import visible
from core.services import Services
from core.settings import ROOT
from core.storage.tables import ChunkRow, DocumentRow, DocumentTextRow
from core.types import DocumentStatus, Passage, Scope

if TYPE_CHECKING:
    from core.retrieval.retriever import HybridRetriever

DEPTH = 100
MOST_FILES = 12  # files that are read once more for one question
FILE_SECONDS = 180.0

RawText = Callable[[Path, str], str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: `relevant` are the documents that are known to hold it, none when nobody has said so."""

    question: str
    query: str
    answers: tuple[str, ...]
    relevant: frozenset[str] = frozenset()

    def in_text(self, text: str, document_id: str, beside: str = "") -> bool:
        """Whether a piece of this document answers the question as expected."""
        least = 0.0 if document_id in self.relevant else LEAST
        return holds(text, self.question, self.answers, beside=beside, least=least)

    def in_passage(self, passage: Passage, text: str | None = None) -> bool:
        beside = f"{passage.document_title} {passage.heading} {passage.context}"
        return self.in_text(passage.text if text is None else text, passage.document_id, beside)


def characters_of(path: Path, name: str) -> str:
    """All that a file holds in any form, from a process of its own; "" when it cannot be read at all."""
    command = [sys.executable, "-m", "ingest", "characters", str(path), "--name", name]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=FILE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Looks through the documents of one scope."""

    services: Services
    scope: Scope
    retriever: HybridRetriever
    raw: RawText = characters_of

    def chosen(self, wanted: Wanted) -> list[Passage]:
        """The passages that search puts forward for the prompt."""
        return self.retriever.retrieve(wanted.query)

    def ranking(self, wanted: Wanted) -> list[Passage]:
        """The first hundred passages for the query, before any are left out so that one document does not fill all."""
        return self.retriever.candidates(wanted.query, DEPTH)

    def in_chunk(self, wanted: Wanted) -> Passage | None:
        """A chunk that holds the answer, wherever it ranks."""
        conditions = [*visible(self.scope), *self._among(wanted)]
        query = select(ChunkRow.id).join(DocumentRow, DocumentRow.id == ChunkRow.document_id).where(*conditions)
        with self.services.db.read() as session:
            ids = [int(id) for id in session.scalars(query)]
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            for chunk in self.services.chunks.load(part, self.scope).values():
                beside = f"{chunk.document_title} {chunk.heading} {chunk.context}"
                if wanted.in_text(chunk.text, chunk.document_id, beside):
                    return Passage(
                        chunk.id, chunk.document_id, chunk.document_title, chunk.text, chunk.start, chunk.end,
                        chunk.page, chunk.heading, 0, 0.0,
                    )  # fmt: skip
        return None

    def in_stored_text(self, wanted: Wanted) -> str:
        """The title of a document whose text holds the answer; "" for none."""
        query = (
            select(DocumentTextRow.text, DocumentRow.id, DocumentRow.title)
            .join(DocumentRow, DocumentRow.id == DocumentTextRow.document_id)
            .where(*visible(self.scope), *self._among(wanted))
            .execution_options(yield_per=20)
        )
        with self.services.db.read() as session:
            for text, id, title in session.execute(query):
                if wanted.in_text(text, id, title):
                    return str(title)
        return ""

    def in_file(self, wanted: Wanted, ranking: Sequence[Passage]) -> str:
        """The name of a file that holds the answer in any form; "" for none. Of the documents that are known to hold
        it; else of those that could not be read and of those that are nearest to the question."""
        for name, id, path in self._files(wanted, ranking):
            text = self.raw(path, name) if path.is_file() else ""
            if wanted.in_text(text, id, name):
                return name
        return ""

    def _files(self, wanted: Wanted, ranking: Sequence[Passage]) -> Iterator[tuple[str, str, Path]]:
        near = list(dict.fromkeys(passage.document_id for passage in ranking))
        query = select(DocumentRow).where(DocumentRow.owner_id == self.scope.owner_id)
        with self.services.db.read() as session:
            rows = {row.id: row for row in session.scalars(query)}
        failed = [id for id, row in rows.items() if row.status == DocumentStatus.failed.value]
        chosen = list(wanted.relevant) or [*failed, *near]
        for id in [id for id in chosen if id in rows][:MOST_FILES]:
            yield rows[id].name, id, self.services.files.path(rows[id].sha256)

    def _among(self, wanted: Wanted) -> list[ColumnElement[bool]]:
        return [DocumentRow.id.in_(wanted.relevant)] if wanted.relevant else []
