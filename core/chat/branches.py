"""What a turn is told of the branch before it, read from its rows: for the turn itself, and for its replay."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.chat.citations import unmarked
from core.storage.tables import ChunkRow, MessageRow, TraceRow
from core.types import ChatMessage, MessageState, Passage

ANSWERED = (MessageState.complete.value, MessageState.stopped.value)


def history_of(branch: Sequence[MessageRow]) -> list[ChatMessage]:
    """Whole exchanges before the question; answers without their markers, which meant other passages."""
    found: list[ChatMessage] = []
    for question, answer in zip(branch[::2], branch[1::2], strict=False):
        if answer.state in ANSWERED and answer.content:
            found.append(ChatMessage("user", question.content))
            found.append(ChatMessage("assistant", unmarked(answer.content)))
    return found


def branch_to(session: Session, answer: MessageRow) -> list[MessageRow]:
    """The messages from the root to the question of an answer; of other branches no words are read."""
    query = select(MessageRow.id, MessageRow.parent_id).where(MessageRow.conversation_id == answer.conversation_id)
    parents = dict(session.execute(query).all())
    ids, head = [], answer.parent_id
    while head is not None and head in parents:
        ids.append(head)
        head = parents[head]
    rows = {row.id: row for row in session.scalars(select(MessageRow).where(MessageRow.id.in_(ids)))}
    return [rows[id] for id in reversed(ids)]


def remembered(session: Session, branch: Sequence[MessageRow], most: int) -> tuple[str, int]:
    """The newest notes of the conversation's beginning, and how many messages they stand for."""
    notes, summarised = TraceRow.ledger["remembered"].as_string(), TraceRow.ledger["summarised"].as_integer()
    # Ids grow with time: the newest message of a branch has the highest.
    query = select(notes, summarised).order_by(TraceRow.message_id.desc()).limit(1)
    answers = [row.id for row in branch if row.role == "assistant"]
    found = session.execute(query.where(TraceRow.message_id.in_(answers), notes != "", summarised.between(1, most)))
    return next(((str(text), int(number)) for text, number in found), ("", 0))


def with_context(session: Session, passage: Passage) -> Passage:
    """A stored passage with what its first chunk carries, so that a prompt shows it as it was shown then."""
    begins = (ChunkRow.document_id == passage.document_id, ChunkRow.start == passage.start)
    return replace(passage, context=session.scalar(select(ChunkRow.context).where(*begins)) or "")


def digest(text: str) -> str:
    """What tells whether the words of a passage are still those that an answer was made from."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
