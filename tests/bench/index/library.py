"""A library of any size made of the real part: every passage as it is, then copies with noise.

The text of a copy has a tenth to a third of its words replaced or moved. Its vector is that of the passage plus one of the
really measured moves (see `base.py`), stretched or shrunk by up to a half, brought back to length 1: so copies lie around
their passage as far and in the directions in which the embedder puts such texts, and the passages lie where they lie. What
this makes harder than real life: at a million chunks every passage has 140 near copies, among which the nearest ten are
to be found. What it makes easier: there are as many topics as in 7,000 passages.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from core.accounts import LOCAL
from core.services import Services
from core.storage.tables import (
    ChunkRow,
    CollectionDocumentRow,
    CollectionRow,
    DocumentRow,
    DocumentTextRow,
    IndexStateRow,
    VectorRow,
    now,
)
from core.types import DocumentStatus
from core.words import chunk_words, head_words
from tests.bench.index.base import Base, noisy

CHUNKS = 20  # in a document
AT_ONCE = 10_000  # chunks written in one transaction
TENTH, HALF = "A tenth", "Half"  # collections with this share of the documents


def vectors_for(base: Base, start: int, stop: int) -> NDArray[np.float32]:
    """The vectors of the chunks from `start` to `stop`; always the same for the same number."""
    blocks = [_block(base, number) for number in range(start // 10_000, (stop - 1) // 10_000 + 1)]
    first = start // 10_000 * 10_000
    return np.concatenate(blocks)[start - first : stop - first]


def _block(base: Base, number: int) -> NDArray[np.float32]:
    luck = np.random.default_rng([7, number])
    places = np.arange(number * 10_000, (number + 1) * 10_000)
    moves = base.moves[luck.integers(0, len(base.moves), len(places))]
    moves *= luck.uniform(0.5, 1.5, (len(places), 1)).astype(np.float32)
    moves[places < len(base.texts)] = 0
    vectors = base.vectors[places % len(base.texts)] + moves
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fill(live: Services, base: Base, have: int, want: int) -> None:
    """Write documents until there are `want` chunks, straight into the tables."""
    words = " ".join(base.texts).split()
    with live.db.write() as session:
        homes = [_collection(session, name) for name in (TENTH, HALF)]
    for first in range(have, want, AT_ONCE):
        last = min(want, first + AT_ONCE)
        with live.db.write() as session:
            for start in range(first, last, CHUNKS):
                write_document(session, live, start, texts_for(base, words, start, min(start + CHUNKS, last)), homes)
            vectors = vectors_for(base, first, last).astype("<f4")
            rows = [
                {
                    "chunk_id": first + n + 1,
                    "embedder": live.settings.embedding_model,
                    "dimension": len(v),
                    "data": v.tobytes(),
                }
                for n, v in enumerate(vectors)
            ]
            session.execute(insert(VectorRow), rows)
            session.execute(update(IndexStateRow).values(generation=IndexStateRow.generation + 1))


def texts_for(base: Base, words: list[str], start: int, stop: int) -> list[str]:
    luck = random.Random(start)
    originals = [(place, base.texts[place % len(base.texts)]) for place in range(start, stop)]
    return [text if place < len(base.texts) else noisy(text, words, luck) for place, text in originals]


def write_document(session: Session, live: Services, start: int, parts: list[str], homes: Sequence[str] = ()) -> str:
    """A document whose first chunk has the id start + 1, without vectors; returns its id."""
    id, moment = f"{start:032d}", now()
    session.execute(
        insert(DocumentRow).values(
            id=id, owner_id=LOCAL.id, name=f"Report {start}.md", title=f"Report {start}", size=1,
            media_type="text/markdown", sha256=f"{start:064d}", status=DocumentStatus.ready.value, error="",
            receipt={"chunks": len(parts)}, created_at=moment, ready_at=moment,
        )
    )  # fmt: skip
    session.execute(insert(DocumentTextRow).values(document_id=id, text="\n\n".join(parts), pages=[], headings=[]))
    chunks, offset = [], 0
    for position, part in enumerate(parts):
        chunks.append(
            {
                "id": start + position + 1, "document_id": id, "position": position, "start": offset,
                "end": offset + len(part), "page": None, "heading": "", "text": part,
                "words": chunk_words(part, "", ""), "head_words": head_words("", f"Report {start}", "", ""),
            }
        )  # fmt: skip
        offset += len(part) + 2
    session.execute(insert(ChunkRow), chunks)
    number = start // CHUNKS
    for home, every in zip(homes, (10, 2), strict=False):
        if number % every == 0:
            session.execute(insert(CollectionDocumentRow).values(collection_id=home, document_id=id))
    return id


def _collection(session: Session, name: str) -> str:
    id = name.replace(" ", "")
    row = insert(CollectionRow).prefix_with("OR IGNORE")
    session.execute(row.values(id=id, owner_id=LOCAL.id, name=name, created_at=now()))
    return id
