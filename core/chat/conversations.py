"""Conversations as trees: every question edited and every answer made anew is a branch, and none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from core.chat import stages
from core.chat.branches import digest
from core.chat.scopes import check_scope, scope_of
from core.chat.verdicts import from_row
from core.errors import BadQuestion, NotFound
from core.retrieval.places import words_at
from core.storage.db import Database
from core.storage.tables import (
    CitationRow,
    ConversationRow,
    FeedbackRow,
    MessageRow,
    PassageRow,
    TraceRow,
)
from core.types import NO_FILTERS, Citation, Cited, Filters, MessageState, Passage, Scope

LONGEST_TITLE = 120


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation as lists show it, with the documents that it asks."""

    id: str
    title: str
    collection_id: str | None
    document_id: str | None
    created_at: datetime
    updated_at: datetime
    filters: Filters = NO_FILTERS


@dataclass(frozen=True, slots=True)
class Rating:
    """What a person said of an answer; thumb 1 is up, 0 is down."""

    thumb: int
    reasons: tuple[str, ...]
    comment: str


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message with all that is shown beside it. `siblings` are the ids of its alternatives, itself included.

    `cited` is what checking the answer found out; None for questions, and for answers that were not finished.
    """

    id: int
    parent_id: int | None
    role: str
    content: str
    state: MessageState
    error: str
    query: str
    created_at: datetime
    siblings: tuple[int, ...]
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    rating: Rating | None
    seconds: float | None
    cited: Cited | None = None


class Conversations:
    """The conversations of people; what is not the owner's does not exist for them."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def create(
        self, *, owner_id: str, collection_id: str | None = None, document_id: str | None = None,
        filters: Filters = NO_FILTERS,
    ) -> str:  # fmt: skip
        with self.db.write() as session:
            check_scope(session, owner_id, collection_id, document_id)
            row = ConversationRow(
                owner_id=owner_id, collection_id=collection_id, document_id=document_id, filters=filters.as_dict()
            )
            session.add(row)
            session.flush()
            return row.id

    def list_conversations(self, *, owner_id: str, search: str = "", limit: int = 200) -> list[ConversationInfo]:
        """Those with at least one message, the newest first; `search` looks into titles and messages."""
        said: ColumnElement[bool] = MessageRow.conversation_id == ConversationRow.id
        query = select(ConversationRow).where(ConversationRow.owner_id == owner_id, exists().where(said))
        if search.strip():
            part = search.strip()
            inside = exists().where(said, MessageRow.content.icontains(part, autoescape=True))
            query = query.where(ConversationRow.title.icontains(part, autoescape=True) | inside)
        with self.db.read() as session:
            return [
                _info(row) for row in session.scalars(query.order_by(ConversationRow.updated_at.desc()).limit(limit))
            ]

    def get(self, conversation_id: str, *, owner_id: str) -> ConversationInfo:
        with self.db.read() as session:
            return _info(owned(session, conversation_id, owner_id))

    def scope(self, conversation_id: str, *, owner_id: str) -> Scope:
        """Which documents the conversation asks."""
        with self.db.read() as session:
            return scope_of(owned(session, conversation_id, owner_id))

    def set_scope(
        self, conversation_id: str, *, owner_id: str, collection_id: str | None, document_id: str | None
    ) -> None:
        """Ask only one collection or one document from now on, or all documents again."""
        with self.db.write() as session:
            check_scope(session, owner_id, collection_id, document_id)
            row = owned(session, conversation_id, owner_id)
            row.collection_id, row.document_id = collection_id, document_id

    def set_filters(self, conversation_id: str, filters: Filters, *, owner_id: str) -> None:
        """Ask only these kinds of documents from now on."""
        with self.db.write() as session:
            owned(session, conversation_id, owner_id).filters = filters.as_dict()

    def rename(self, conversation_id: str, title: str, *, owner_id: str, by: str = "person") -> None:
        """Give a title. A title that a person gave is not replaced by the model's."""
        title = " ".join(title.split())[:LONGEST_TITLE]
        if not title:
            raise BadQuestion("A conversation needs a title.")
        with self.db.write() as session:
            row = owned(session, conversation_id, owner_id)
            if by == "person" or row.titled_by != "person":
                row.title, row.titled_by = title, by

    def is_named(self, conversation_id: str, *, owner_id: str) -> bool:
        """Whether a person or the model has given it a title already."""
        with self.db.read() as session:
            return bool(owned(session, conversation_id, owner_id).titled_by)

    def delete(self, conversation_id: str, *, owner_id: str) -> None:
        with self.db.write() as session:
            row = owned(session, conversation_id, owner_id)
            # Messages refer to each other; without this SQLite would cascade through them one level at a time.
            session.execute(update(MessageRow).where(MessageRow.conversation_id == row.id).values(parent_id=None))
            session.delete(row)

    def thread(self, conversation_id: str, *, owner_id: str) -> list[MessageView]:
        """The branch that is shown, from the first question to the newest message."""
        return self.open(conversation_id, owner_id=owner_id)[1]

    def open(self, conversation_id: str, *, owner_id: str) -> tuple[ConversationInfo, list[MessageView]]:
        """The conversation with its thread, from one snapshot."""
        with self.db.read() as session:
            conversation = owned(session, conversation_id, owner_id)
            rows = {
                row.id: row
                for row in session.scalars(select(MessageRow).where(MessageRow.conversation_id == conversation_id))
            }
            branch = path(rows, conversation.head_id)
            return _info(conversation), _views(session, rows, branch, owner_id)

    def show_branch(self, conversation_id: str, message_id: int, *, owner_id: str) -> None:
        """Show the branch through this message, down to its newest end."""
        with self.db.write() as session:
            conversation = owned(session, conversation_id, owner_id)
            rows = session.scalars(select(MessageRow).where(MessageRow.conversation_id == conversation_id)).all()
            if message_id not in {row.id for row in rows}:
                raise NotFound("There is no such message.")
            end = message_id
            while children := [row.id for row in rows if row.parent_id == end]:
                end = max(children)
            conversation.head_id = end

    def mark_interrupted(self) -> int:
        """After a crash: answers that nobody is writing any more keep their text and say what happened."""
        reason = "Groundwork stopped while this answer was being written."
        with self.db.write() as session:
            stale = session.scalars(select(MessageRow).where(MessageRow.state == MessageState.writing.value)).all()
            for row in stale:
                row.state, row.error = MessageState.interrupted.value, reason
            return len(stale)


def owned(session: Session, conversation_id: str, owner_id: str) -> ConversationRow:
    """The conversation, if it is the owner's. Raises NotFound."""
    row = session.get(ConversationRow, conversation_id)
    if row is None or row.owner_id != owner_id:
        raise NotFound("There is no such conversation. It may have been deleted.")
    return row


def path(rows: dict[int, MessageRow], head: int | None) -> list[MessageRow]:
    """The messages from the root to `head`."""
    found: list[MessageRow] = []
    while head is not None and head in rows:
        found.append(rows[head])
        head = rows[head].parent_id
    return found[::-1]


def _views(
    session: Session, rows: dict[int, MessageRow], branch: Sequence[MessageRow], owner_id: str
) -> list[MessageView]:
    ids = [row.id for row in branch]
    citations = _citations(session, ids)
    passages = load_passages(session, ids)
    said = select(FeedbackRow).where(FeedbackRow.message_id.in_(ids), FeedbackRow.user_id == owner_id)
    ratings = {row.message_id: Rating(row.thumb, tuple(row.reasons), row.comment) for row in session.scalars(said)}
    used = select(TraceRow.message_id, TraceRow.usage, TraceRow.verdict).where(TraceRow.message_id.in_(ids))
    traces = {id: (usage, verdict) for id, usage, verdict in session.execute(used)}
    siblings: dict[tuple[int | None, str], list[int]] = {}
    for row in sorted(rows.values(), key=lambda row: row.id):
        siblings.setdefault((row.parent_id, row.role), []).append(row.id)
    return [
        MessageView(
            id=row.id,
            parent_id=row.parent_id,
            role=row.role,
            content=row.content,
            state=MessageState(row.state),
            error=row.error,
            query=row.query,
            created_at=row.created_at,
            siblings=tuple(siblings[row.parent_id, row.role]),
            citations=tuple(citations.get(row.id, ())),
            passages=tuple(passages.get(row.id, ())),
            rating=ratings.get(row.id),
            seconds=traces[row.id][0].get("seconds") if row.id in traces else None,
            cited=from_row(traces[row.id][1], row.content, tuple(citations.get(row.id, ())))
            if row.id in traces
            else None,
        )
        for row in branch
    ]


def _citations(session: Session, message_ids: Sequence[int]) -> dict[int, list[Citation]]:
    query = select(CitationRow).where(CitationRow.message_id.in_(message_ids))
    rows = session.scalars(query.order_by(CitationRow.number, CitationRow.id)).all()
    quoted = _Quoted(session, rows)
    found: dict[int, list[Citation]] = {}
    for row in rows:
        quote, changed = quoted.words(row)
        found.setdefault(row.message_id, []).append(
            Citation(row.number, row.document_id or "", row.document_title, row.page, row.heading, quote,
                     row.start, row.end, row.support, changed)
        )  # fmt: skip
    return found


def load_passages(session: Session, message_ids: Sequence[int]) -> dict[int, list[Passage]]:
    """The passages of answers; the text of a passage whose document is gone, or says something else now, is empty."""
    query = select(PassageRow).where(PassageRow.message_id.in_(message_ids))
    rows = session.scalars(query.order_by(PassageRow.rank)).all()
    quoted = _Quoted(session, rows)
    found: dict[int, list[Passage]] = {}
    for row in rows:
        text, changed = quoted.words(row)
        found.setdefault(row.message_id, []).append(
            Passage(0, row.document_id or "", row.document_title, text, row.start, row.end, row.page,
                    row.heading, row.rank, row.score, row.dense_score, row.keyword_score, changed=changed,
                    kept=tuple((start, end) for start, end in row.kept), **stages.from_row(row.stages))
        )  # fmt: skip
    return found


class _Quoted:
    """The words that passages and citations mean, as long as they stand where they stood."""

    def __init__(self, session: Session, rows: Sequence[CitationRow] | Sequence[PassageRow]) -> None:
        self._found = words_at(session, ((row.document_id, row.start, row.end) for row in rows if row.document_id))

    def words(self, row: CitationRow | PassageRow) -> tuple[str, bool]:
        """The words; none, and True, when the document was read again since and says something else there."""
        words = self._found.get((row.document_id or "", row.start, row.end))
        if words is not None and row.digest and row.digest != digest(words):
            return "", True
        return words or "", False


def _info(row: ConversationRow) -> ConversationInfo:
    return ConversationInfo(
        row.id, row.title, row.collection_id, row.document_id, row.created_at, row.updated_at,
        Filters.from_dict(row.filters),
    )  # fmt: skip
