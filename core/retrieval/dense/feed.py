"""What an index asks of SQL: what is new, what is gone, what a scope may see, and the vectors themselves.

Long lists of ids travel as text in both directions: SQLite makes and reads them without holding up other threads,
where a million rows as Python objects would stop every page for a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Row, Select, column, func, select, text

from core.retrieval.dense.gaps import OPEN, Gap, Ids, fill, open_end
from core.retrieval.dense.near import NOTHING, Vectors
from core.retrieval.store import current_generation, visible
from core.storage.db import Database
from core.storage.tables import ChunkRow, DocumentRow, VectorRow
from core.types import Scope

BLOCK = 4096  # vectors read at once: 6 MB
PIECE = 1 << 16  # characters
SAMPLE_RUN = 64  # neighbouring vectors that a sample takes from one place

# CROSS JOIN and the sign before `embedder` keep SQLite to the order of chunk ids. By itself it would take the index
# that begins with the embedder, read and sort all of its vectors, and keep a few.
ADDED = text("""
    SELECT vectors.chunk_id, vectors.data
    FROM json_each(:gaps) AS gap CROSS JOIN vectors
    WHERE vectors.chunk_id BETWEEN json_extract(gap.value, '$[0]') AND json_extract(gap.value, '$[1]')
    AND +vectors.embedder = :embedder AND vectors.dimension = :dimension
    LIMIT :most""")
FROM = text("""
    SELECT chunk_id, data FROM vectors
    WHERE chunk_id >= :start AND +embedder = :embedder AND dimension = :dimension ORDER BY chunk_id LIMIT :most""")
NEWEST = text("SELECT dimension FROM vectors WHERE +embedder = :embedder ORDER BY chunk_id DESC LIMIT 1")
FILLABLE = text("""
    SELECT (SELECT min(id) FROM chunks WHERE id BETWEEN json_extract(value, '$[0]') AND json_extract(value, '$[1]')),
    (SELECT max(id) FROM chunks WHERE id BETWEEN json_extract(value, '$[0]') AND json_extract(value, '$[1]'))
    FROM json_each(:gaps)""")


@dataclass(frozen=True, slots=True)
class Additions:
    """Vectors that lay in gaps, sorted by chunk id, and the gaps without them; `complete` when there are no more."""

    generation: int
    ids: Ids
    vectors: Vectors
    gaps: list[Gap]
    complete: bool


class VectorFeed:
    """The vectors of one embedder. Every method sees one snapshot."""

    def __init__(self, db: Database, embedder: str) -> None:
        self.db = db
        self.embedder = embedder
        self.block = BLOCK

    def generation(self) -> int:
        with self.db.read() as session:
            return current_generation(session)

    def more_than(self, limit: int) -> bool:
        """Whether there are more vectors than that, without counting all."""
        some = select(VectorRow.chunk_id).where(VectorRow.embedder == self.embedder).limit(limit + 1).subquery()
        with self.db.read() as session:
            return (session.scalar(select(func.count()).select_from(some)) or 0) > limit

    def size(self) -> tuple[int, int, int]:
        """Generation, number of vectors, and their dimension: that of the newest; 0 when there are none."""
        count = select(func.count()).select_from(VectorRow).where(VectorRow.embedder == self.embedder)
        with self.db.read() as session:
            dimension = session.scalar(NEWEST, {"embedder": self.embedder}) or 0
            return current_generation(session), session.scalar(count) or 0, dimension

    def added(self, gaps: Sequence[Gap], dimension: int) -> Additions:
        """A block of vectors whose ids lie in the gaps, which are sorted and end with an open one."""
        values = {"gaps": json.dumps(gaps), "embedder": self.embedder, "dimension": dimension, "most": self.block}
        with self.db.read() as session:
            generation = current_generation(session)
            rows = session.execute(ADDED, values).all()
            ids, vectors = unpacked(sorted(rows, key=lambda row: row[0]), dimension)
            newest = session.scalar(select(func.max(ChunkRow.id))) or 0
            complete = len(ids) < self.block
            left = fill(open_end(gaps, newest), ids)
            if complete:
                closed = json.dumps([gap for gap in left if gap[1] < OPEN])
                alive = session.execute(FILLABLE, {"gaps": closed}).all()
                left = [*((low, high) for low, high in alive if low is not None), left[-1]]
        return Additions(generation, ids, vectors, left, complete)

    def sample(self, count: int, dimension: int) -> Vectors:
        """About so many vectors from places all over the library."""
        if not count:
            return np.zeros((0, dimension), dtype=np.float32)
        luck = np.random.default_rng(1)
        with self.db.read() as session:
            newest = session.scalar(select(func.max(VectorRow.chunk_id))) or 0
            places = np.unique(luck.integers(0, newest + 1, size=count // SAMPLE_RUN + 1))
            parts = [session.execute(FROM, self._at(int(place), dimension, SAMPLE_RUN)).all() for place in places]
        known = {id: data for part in parts for id, data in part}
        return unpacked(list(known.items()), dimension)[1]

    def blocks(self, dimension: int) -> Iterator[tuple[Ids, Vectors]]:
        """All vectors in the order of their ids, each block from a snapshot of its own: none is held for minutes."""
        start = 0
        while True:
            with self.db.read() as session:
                rows = session.execute(FROM, self._at(start, dimension, self.block)).all()
            if not rows:
                return
            yield unpacked(rows, dimension)
            start = rows[-1][0] + 1

    def chunk_ids(self) -> tuple[int, Ids]:
        """The generation and the ids of all chunks that there are, sorted."""
        with self.db.read() as session:
            listed = session.scalar(select(func.group_concat(ChunkRow.id)).select_from(ChunkRow))
            return current_generation(session), parsed(listed)

    def visible_ids(self, scope: Scope) -> Ids:
        """The ids of the chunks that the scope may see, sorted."""
        query = select(func.group_concat(ChunkRow.id)).select_from(DocumentRow)
        query = query.join(ChunkRow, ChunkRow.document_id == DocumentRow.id).where(*visible(scope))
        with self.db.read() as session:
            return parsed(session.scalar(query))

    def visible_vectors(self, ids: Ids, scope: Scope, dimension: int) -> tuple[Ids, Vectors]:
        """The vectors of those of the chunks that the scope may see."""
        with self.db.read() as session:
            rows = session.execute(self._of(ids, dimension, scope)).all()
        return unpacked(rows, dimension)

    def vectors(self, ids: Ids, dimension: int) -> tuple[Ids, Vectors]:
        """The vectors of those of the chunks that have one."""
        with self.db.read() as session:
            return unpacked(session.execute(self._of(ids, dimension)).all(), dimension)

    def _at(self, start: int, dimension: int, most: int) -> dict[str, object]:
        return {"start": start, "embedder": self.embedder, "dimension": dimension, "most": most}

    def _of(self, ids: Ids, dimension: int, scope: Scope | None = None) -> Select[int, bytes]:
        wanted = func.json_each(json.dumps(ids.tolist())).table_valued(column("value"))
        query = select(VectorRow.chunk_id, VectorRow.data).where(VectorRow.chunk_id.in_(select(wanted.c.value)))
        if scope is not None:
            query = query.join(ChunkRow, ChunkRow.id == VectorRow.chunk_id)
            query = query.join(DocumentRow, DocumentRow.id == ChunkRow.document_id).where(*visible(scope))
        return query.where(VectorRow.embedder == self.embedder, VectorRow.dimension == dimension)


def unpacked(rows: Sequence[Row[int, bytes] | tuple[int, bytes]], dimension: int) -> tuple[Ids, Vectors]:
    """Ids and vectors of rows of both."""
    ids = np.fromiter((id for id, _ in rows), dtype=np.int64, count=len(rows))
    vectors = np.frombuffer(b"".join(data for _, data in rows), dtype="<f4").reshape(len(rows), dimension or 1)
    return ids, vectors


def parsed(listed: str | None) -> Ids:
    """The numbers of a list with commas, sorted; read piece by piece, so that other threads come to their turn."""
    parts, start = [NOTHING], 0
    while listed and start >= 0:
        comma = listed.find(",", start + PIECE)
        piece = listed[start:comma] if comma >= 0 else listed[start:]
        parts.append(np.fromstring(piece, dtype=np.int64, sep=","))
        start = comma + 1 if comma >= 0 else -1
    return np.sort(np.concatenate(parts))
