"""Answers looked at from outside their conversation: to try a prompt on, and to see where the time went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from core.errors import NotFound
from core.storage.db import Database
from core.storage.tables import ConversationRow, MessageRow, PassageRow, TraceRow
from core.types import MessageState


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question with its answer, and what was searched for when that is not the question."""

    message_id: int
    conversation_id: str
    question: str
    query: str
    answer: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Steps:
    """Where the time of an answer went: seconds by step in their order, and what the model read and wrote."""

    seconds: dict[str, float]
    prompt_tokens: int
    completion_tokens: int


class Answers:
    """The answers of people, newest first."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def recent(self, *, owner_id: str, limit: int = 50) -> list[AnsweredQuestion]:
        """Complete answers that rest on passages."""
        question, answer = aliased(MessageRow), aliased(MessageRow)
        query = (
            select(answer, question.content)
            .join(question, question.id == answer.parent_id)
            .join(ConversationRow, ConversationRow.id == answer.conversation_id)
            .where(
                ConversationRow.owner_id == owner_id,
                answer.state == MessageState.complete.value,
                exists().where(PassageRow.message_id == answer.id),
            )
            .order_by(answer.id.desc())
            .limit(limit)
        )
        with self.db.read() as session:
            return [
                AnsweredQuestion(row.id, row.conversation_id, asked, row.query, row.content, row.created_at)
                for row, asked in session.execute(query)
            ]

    def steps(self, message_id: int, *, owner_id: str) -> Steps:
        """How long each step of this answer took. Raises NotFound for an answer without a record."""
        with self.db.read() as session:
            row = session.get(TraceRow, message_id)
            if row is None or row.owner_id != owner_id:
                raise NotFound("Nothing is known about how this answer was made.")
            spans = sorted(row.spans, key=lambda span: float(span["started"]))
            return Steps(
                {str(span["name"]): float(span["seconds"]) for span in spans},
                int(row.usage.get("prompt_tokens", 0)),
                int(row.usage.get("completion_tokens", 0)),
            )
