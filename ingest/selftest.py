"""The self-test of a document: sentences drawn from it are asked of the index and must come back among the first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sqlalchemy import select

from core.retrieval.fusion import DENSE_WEIGHT, KEYWORD_WEIGHT, fuse
from core.retrieval.keyword import KeywordIndex
from core.retrieval.store import Vectors
from core.retrieval.vectors import merged
from core.storage.db import Database
from core.storage.tables import ChunkRow, DocumentRow, DocumentTextRow, VectorRow
from core.types import DocumentStatus, Scope

ASKED, AMONG, CANDIDATES = 5, 5, 50
LONGEST = 240  # letters of a sentence that is asked
# Fewest letters and words: sentences that say something, or else what there is, down to the rows of a list.
GOOD_ENOUGH = ((40, 5), (15, 3), (1, 1))
SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?。！？]+|(?=\n)|$)")


class Embedder(Protocol):
    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> Vectors: ...


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its place in the text of the document."""

    text: str
    start: int
    end: int


def draw(text: str, number: int = ASKED) -> list[Sentence]:
    """Sentences from all over a text, the same ones each time; fewer when it has no more."""
    all_of_them = [
        Sentence(" ".join(match[0].split()), match.start(), match.end()) for match in SENTENCE.finditer(text)
    ]
    distinct: list[Sentence] = []
    for letters, words in GOOD_ENOUGH:
        found = [s for s in all_of_them if letters <= len(s.text) <= LONGEST and s.text.count(" ") + 1 >= words]
        distinct = list({sentence.text: sentence for sentence in found}.values())
        if len(distinct) >= number:
            break
    if len(distinct) <= number:
        return distinct
    return [distinct[(2 * place + 1) * len(distinct) // (2 * number)] for place in range(number)]


class SelfTest:
    """Writes its result into the receipt: how many were asked, and how many came back by which way."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.keyword = KeywordIndex(db)

    def by_keyword(self, document_id: str) -> None:
        """Ask the keyword index, as soon as the text is in."""
        drawn = self._drawn(document_id)
        if drawn is None:
            return
        scope, sentences = drawn
        back = [self._found(document_id, sentence, self._by_keyword(sentence, scope)) for sentence in sentences]
        self._tell(document_id, {"asked": len(sentences), "keyword": sum(back), "missed": _missed(sentences, back)})

    def by_vector(self, document_ids: Sequence[str], embedder: str, model: Embedder) -> None:
        """Ask both indexes, fused as for a question, once the vectors are in; several documents in one pass.

        Raises what the model raises.
        """
        drawn = {id: found for id in document_ids if (found := self._drawn(id)) is not None}
        asked: dict[str, list[tuple[str, Sentence]]] = {}
        for id, (scope, sentences) in drawn.items():
            asked.setdefault(scope.owner_id, []).extend((id, sentence) for sentence in sentences)
        back: dict[str, list[tuple[Sentence, bool, bool]]] = {id: [] for id in drawn}
        for owner_id, questions in asked.items():
            scope = Scope(owner_id)
            near = self._nearest([sentence for _, sentence in questions], scope, embedder, model)
            for (id, sentence), by_vector in zip(questions, near, strict=True):
                by_keyword = self._by_keyword(sentence, scope, CANDIDATES)
                fused = fuse([by_vector, by_keyword], weights=[DENSE_WEIGHT, KEYWORD_WEIGHT])
                both = self._found(id, sentence, [chunk for chunk, _ in fused[:AMONG]])
                back[id].append((sentence, self._found(id, sentence, by_keyword[:AMONG]), both))
        for id, results in back.items():
            plain, hybrid = sum(found for _, found, _ in results), sum(found for _, _, found in results)
            missed = [sentence.text for sentence, _, found in results if not found]
            self._tell(id, {"asked": len(results), "keyword": plain, "hybrid": hybrid, "missed": missed})

    def untested(self) -> list[str]:
        """Documents that are ready, but were not asked for by vector: their worker was killed, or they are old."""
        tested = DocumentRow.receipt["self_test"]["hybrid"].as_integer()
        query = select(DocumentRow.id).where(DocumentRow.status == DocumentStatus.ready.value, tested.is_(None))
        with self.db.read() as session:
            return list(session.scalars(query))

    def _drawn(self, document_id: str) -> tuple[Scope, list[Sentence]] | None:
        with self.db.read() as session:
            row = session.get(DocumentRow, document_id)
            text = session.get(DocumentTextRow, document_id)
            if row is None or text is None:
                return None
            return Scope(row.owner_id), draw(text.text)

    def _by_keyword(self, sentence: Sentence, scope: Scope, number: int = AMONG) -> list[int]:
        return [id for id, _ in self.keyword.search(sentence.text, scope, number)]

    def _nearest(self, sentences: Sequence[Sentence], scope: Scope, embedder: str, model: Embedder) -> list[list[int]]:
        """The nearest chunks of each sentence among all vectors of the owner, compared exactly, block by block."""
        if not sentences:
            return []
        asked = model.embed([sentence.text for sentence in sentences], priority="ingest", model=embedder)
        query = (
            select(VectorRow.chunk_id, VectorRow.data)
            .join(ChunkRow, ChunkRow.id == VectorRow.chunk_id)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(VectorRow.embedder == embedder, DocumentRow.owner_id == scope.owner_id)
        )
        best: list[list[tuple[float, int]]] = [[] for _ in sentences]
        with self.db.read() as session:
            for block in session.execute(query).partitions(4096):
                data = np.frombuffer(b"".join(row.data for row in block), "<f4").reshape(len(block), -1)
                for place, scores in enumerate(asked @ data.T):
                    some = np.argsort(-scores)[:CANDIDATES]
                    best[place] += [(float(scores[at]), block[at].chunk_id) for at in some]
                    best[place] = sorted(best[place], reverse=True)[:CANDIDATES]
        return [[id for _, id in found] for found in best]

    def _found(self, document_id: str, sentence: Sentence, ids: Sequence[int]) -> bool:
        """Whether one of these chunks holds the sentence, here or word for word in another document."""
        query = select(ChunkRow).where(ChunkRow.id.in_(ids))
        with self.db.read() as session:
            chunks = session.scalars(query).all()
        middle = (sentence.start + sentence.end) // 2
        return any(
            (chunk.document_id == document_id and chunk.start <= middle < chunk.end)
            or sentence.text in " ".join(chunk.text.split())
            for chunk in chunks
        )

    def _tell(self, document_id: str, result: dict[str, Any]) -> None:
        with self.db.write() as session:
            row = session.get(DocumentRow, document_id)
            if row is not None:
                row.receipt = merged(row.receipt, {"self_test": {**row.receipt.get("self_test", {}), **result}})


def _missed(sentences: Sequence[Sentence], back: Sequence[bool]) -> list[str]:
    return [sentence.text for sentence, found in zip(sentences, back, strict=True) if not found]
