"""Keyword search: FTS5 with BM25, in the same database and transaction as the chunks."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Float, Integer, Select, String, and_, column, func, select, table, text
from sqlalchemy import literal_column as literal
from sqlalchemy.orm import Session

from core.errors import StorageBusy, StorageError, StorageFull
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
MOST_RANKED = 4 * RANKED  # where only frequent words are asked for, or a phrase in quotes that stands nearly everywhere

WORDS = table("chunk_words", column("rowid", Integer), column("chunk_words", String))

Term = tuple[str, ...]  # of the index, or several that follow one another


class KeywordIndex:
    """Finds chunks by their words; nothing to build or load, SQLite keeps it with the rows."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.counts = Counts()

    def understand(self, session: Session, text: str, scope: Scope) -> Query:
        """The query, its words in the forms of the languages of the owner's documents."""
        return understand(text, self.counts.languages(session, scope.owner_id))

    def search(self, query: str, scope: Scope, k: int) -> list[tuple[int, float]]:
        """The k best chunks in the scope as (chunk id, score), best first; higher scores are better."""
        with self.db.read() as session:
            return self.best(session, self.understand(session, query, scope), scope, k)

    def best(self, session: Session, asked: Query, scope: Scope, k: int) -> list[tuple[int, float]]:
        """The same for a query that is understood, on a snapshot that is read already.

        Chunks that hold what the query has in quotes come before all others.
        """
        if not asked.units:
            return []
        rare, all_of_them = self._terms(session, asked)
        found: list[tuple[int, float]] = []
        looked_at = 0
        if not scope.document_ids:
            # The best of all are found much faster than the best of a scope, and mostly are in it.
            found, looked_at = _best_of_all(session, any_of(rare), scope, AHEAD * k)
            found = found[:k]
        # Where the scope leaves out most of what was found, or all of it, its own chunks are looked through.
        if not found or (len(found) < k and 2 * len(found) < looked_at):
            found = _best(session, any_of(all_of_them), scope, k, most=MOST_RANKED)
        phrases = any_of(form for phrase in asked.phrases for form in phrase.forms)
        quoted = _best(session, phrases, scope, k, most=MOST_RANKED)
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

    def _terms(self, session: Session, query: Query) -> tuple[list[Term], list[Term]]:
        """The rarest terms and names of a query, which few chunks hold, and all of them that any chunk holds.

        A name of several terms stands in no more chunks than the rarest of them.
        """
        words = [(form,) for unit in query.units for form in unit.forms]
        names = [form for name in query.identifiers for form in name.forms if len(form) > 1]
        counted = self.counts.frequencies(session, (term for form in (*words, *names) for term in form))
        most = {form: min(counted[term] for term in form) for form in (*words, *names)}
        by_rarity = sorted((form for form, count in most.items() if count), key=most.__getitem__)
        rare, ranked = 0, 0
        for form in by_rarity:
            ranked += most[form]
            if rare and ranked > RANKED:
                break
            rare += 1
        return by_rarity[:rare], by_rarity


def _best_of_all(session: Session, match: str, scope: Scope, among: int) -> tuple[list[tuple[int, float]], int]:
    """Those in the scope of the best chunks of everybody, and how many of these there were, at most `among`."""
    if not match:
        return [], 0
    found = _matching(match).order_by("score").limit(among).subquery("found")
    seen = (DocumentRow.id == ChunkRow.document_id) & and_(*visible(scope))
    statement = (
        select(found.c.rowid, found.c.score, DocumentRow.id.is_not(None))
        .outerjoin(ChunkRow, ChunkRow.id == found.c.rowid)
        .outerjoin(DocumentRow, seen)
        .order_by(found.c.score)
    )
    rows = session.execute(statement).all()
    return [(id, -score) for id, score, is_seen in rows if is_seen], len(rows)


def _best(session: Session, match: str, scope: Scope, k: int, *, most: int | None = None) -> list[tuple[int, float]]:
    """The k best chunks in the scope; where more than `most` of its chunks match, the best of the first so many."""
    if not match:
        return []
    matching = _matching(match)
    if scope.narrowed or most is not None:  # what the scope may not see is not ranked either
        allowed = select(ChunkRow.id).join(DocumentRow, DocumentRow.id == ChunkRow.document_id).where(*visible(scope))
        # Not by the rowid itself: SQLite would ask FTS5 once for every allowed chunk, 3 ms each.
        matching = matching.where((WORDS.c.rowid + 0).in_(allowed))
    found = matching.limit(-1 if most is None else most).subquery("found")
    statement = (
        select(found.c.rowid, found.c.score)
        .join(ChunkRow, ChunkRow.id == found.c.rowid)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(*visible(scope))
        .order_by(found.c.score)
        .limit(k)
    )
    return [(id, -score) for id, score in session.execute(statement)]


def _matching(match: str) -> Select[tuple[int, float]]:
    score = func.bm25(literal("chunk_words"), TEXT_WEIGHT, HEAD_WEIGHT, type_=Float)
    return select(WORDS.c.rowid, score.label("score")).where(WORDS.c.chunk_words.op("MATCH")(match))


def keyword_damage(db: Database) -> bool:
    """Whether the keyword index holds anything but the words of the chunks that there are. Raises StorageBusy."""
    try:
        with db.write() as session:
            # FTS5's own check trusts what this connection remembers of the index, even when another process has
            # changed it since, and then reports damage that is not there. A query makes it look anew.
            session.execute(text("SELECT rowid FROM chunk_words LIMIT 1")).all()
            session.execute(text("INSERT INTO chunk_words(chunk_words, rank) VALUES ('integrity-check', 1)"))
    except (StorageBusy, StorageFull):
        raise
    except StorageError:
        return True
    return False
