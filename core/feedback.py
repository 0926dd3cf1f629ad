"""What people say of answers: one rating per person and answer, and the list that reviewers work through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import aliased

from core.errors import BadQuestion, NotFound
from core.models.remote.address import host_of
from core.storage.db import Database
from core.storage.tables import ConversationRow, FeedbackRow, MessageRow, PipelineRow, PromptVersionRow, now

REASONS = {
    "wrong": "Wrong",
    "not_in_documents": "Not in my documents",
    "not_found": "It is there, but was not found",
    "citation": "The citation does not show it",
    "incomplete": "Incomplete",
    "style": "Too long or hard to read",
    "other": "Something else",
}
LONGEST_COMMENT = 4_000


@dataclass(frozen=True, slots=True)
class FeedbackEntry:
    """A rating with the question and answer it is about, and what the answer was made with."""

    id: int
    conversation_id: str
    message_id: int
    question: str
    answer: str
    thumb: int
    reasons: tuple[str, ...]
    comment: str
    created_at: datetime
    reviewed_at: datetime | None
    model: str
    prompt_version: int | None


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """How many ratings there are of each kind."""

    up: int
    down: int
    open: int


class FeedbackBook:
    """Ratings. A rating never changes an answer; it is evidence for those who improve the prompts and models."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def rate(
        self,
        message_id: int,
        *,
        user_id: str,
        thumb: int | None,
        reasons: Sequence[str] | None = None,
        comment: str | None = None,
    ) -> None:
        """Set, change or (with None) take back a rating; reasons and comment that are not given stay as they are.

        Raises NotFound for what is not an answer of the user's, BadQuestion.
        """
        if unknown := [reason for reason in reasons or () if reason not in REASONS]:
            raise BadQuestion(f"{unknown[0]} is not one of the reasons.")
        with self.db.write() as session:
            answer = session.get(MessageRow, message_id)
            conversation = session.get(ConversationRow, answer.conversation_id) if answer else None
            if answer is None or answer.role != "assistant" or conversation is None or conversation.owner_id != user_id:
                raise NotFound("There is no such answer.")
            row = session.scalar(
                select(FeedbackRow).where(FeedbackRow.message_id == message_id, FeedbackRow.user_id == user_id)
            )
            if thumb is None:
                if row is not None:
                    session.delete(row)
                return
            if row is None:
                row = FeedbackRow(message_id=message_id, user_id=user_id, reasons=[], comment="")
                session.add(row)
            row.thumb = thumb
            if reasons is not None:
                row.reasons = list(reasons)
            if comment is not None:
                row.comment = comment.strip()[:LONGEST_COMMENT]
            row.reviewed_at = row.reviewed_by = None  # a changed verdict is a new one to look at

    def entries(
        self,
        *,
        owner_id: str,
        thumb: int | None = None,
        reviewed: bool | None = None,
        reason: str | None = None,
        search: str = "",
        limit: int = 500,
    ) -> list[FeedbackEntry]:
        """The newest first, filtered by thumb, state, reason and words in question, answer or comment."""
        question, answer = aliased(MessageRow), aliased(MessageRow)
        query = (
            select(FeedbackRow, question.content, answer, PipelineRow, PromptVersionRow.version)
            .join(answer, answer.id == FeedbackRow.message_id)
            .join(question, question.id == answer.parent_id)
            .join(ConversationRow, ConversationRow.id == answer.conversation_id)
            .outerjoin(PipelineRow, PipelineRow.id == answer.pipeline_id)
            .outerjoin(PromptVersionRow, PromptVersionRow.id == PipelineRow.prompt_version_id)
            .where(ConversationRow.owner_id == owner_id)
            .order_by(FeedbackRow.updated_at.desc(), FeedbackRow.id.desc())
            .limit(limit)
        )
        if thumb is not None:
            query = query.where(FeedbackRow.thumb == thumb)
        if reviewed is not None:
            query = query.where(FeedbackRow.reviewed_at.is_not(None) if reviewed else FeedbackRow.reviewed_at.is_(None))
        if reason is not None:  # one of REASONS, so that no other can hold it as a part
            query = query.where(cast(FeedbackRow.reasons, String).contains(f'"{reason}"', autoescape=True))
        if part := search.strip():
            columns = (question.content, answer.content, FeedbackRow.comment)
            found = [column.icontains(part, autoescape=True) for column in columns]
            query = query.where(found[0] | found[1] | found[2])
        with self.db.read() as session:
            return [
                FeedbackEntry(
                    row.id, message.conversation_id, message.id, asked, message.content, row.thumb, tuple(row.reasons),
                    row.comment, row.updated_at, row.reviewed_at, _model(pipeline), version,
                )
                for row, asked, message, pipeline, version in session.execute(query)
            ]  # fmt: skip

    def counts(self, *, owner_id: str) -> FeedbackCounts:
        query = (
            select(FeedbackRow.thumb, FeedbackRow.reviewed_at.is_(None), func.count())
            .join(MessageRow, MessageRow.id == FeedbackRow.message_id)
            .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
            .where(ConversationRow.owner_id == owner_id)
            .group_by(FeedbackRow.thumb, FeedbackRow.reviewed_at.is_(None))
        )
        with self.db.read() as session:
            rows = session.execute(query).all()
        return FeedbackCounts(
            sum(n for thumb, _, n in rows if thumb == 1),
            sum(n for thumb, _, n in rows if thumb == 0),
            sum(n for _, waiting, n in rows if waiting),
        )

    def review(self, feedback_id: int, *, user_id: str, reviewed: bool) -> None:
        """Mark a rating as dealt with, or as open again."""
        with self.db.write() as session:
            row = session.get(FeedbackRow, feedback_id)
            if row is None:
                raise NotFound("There is no such rating. It may have been taken back.")
            row.reviewed_at, row.reviewed_by = (now(), user_id) if reviewed else (None, None)


def _model(pipeline: PipelineRow | None) -> str:
    """The model that answered, with its host when it was another service's."""
    if pipeline is None:
        return ""
    return f"{pipeline.model} at {host_of(pipeline.endpoint)}" if pipeline.endpoint else pipeline.model
