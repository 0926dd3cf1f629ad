"""What a turn reads before it starts and writes while it runs: messages, passages, citations, trace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from core.chat import stages
from core.chat.branches import branch_to, digest, history_of, remembered, with_context
from core.chat.conversations import load_passages, owned
from core.chat.pipelines import Pipelines
from core.chat.request import AnswerRequest, Habits
from core.chat.scopes import scope_of
from core.chat.verdicts import to_row
from core.errors import NotFound
from core.prompts import Prompts
from core.retrieval.fusion import FUSION
from core.storage.db import Database
from core.storage.tables import (
    CitationRow,
    ConversationRow,
    DocumentRow,
    MessageRow,
    PassageRow,
    TraceRow,
    now,
)
from core.traces import Trace
from core.types import ChatMessage, Cited, GenerationOptions, MessageState, Passage, Scope

FIRST_TITLE = 60  # characters of the first question that name a conversation until the model has named it
OTHER_PROMPTS = ("talk", "remember", "section", "digest", "general", "verify")


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended; `error` is a sentence for people."""

    state: MessageState
    text: str
    error: str = ""
    cited: Cited | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of today's answers, apart from the prompt: they make up the pipeline.

    `endpoint` is the address of the service that answers; its models have no hash that we could know.
    """

    model: str
    model_sha256: str
    embedder: str
    passages: int
    options: GenerationOptions
    endpoint: str = ""
    habits: Habits = field(default_factory=Habits)


class TurnRecords:
    """Reads and writes in short transactions; no model is called inside one.

    `calibration` names what the confidence of an answer over a collection, or over all documents, comes from.
    """

    def __init__(
        self, db: Database, prompts: Prompts, pipelines: Pipelines, recipe: Callable[[], Recipe],
        calibration: Callable[[str | None], str],
    ) -> None:  # fmt: skip
        self.db = db
        self.prompts = prompts
        self.pipelines = pipelines
        self.recipe = recipe
        self.calibration = calibration

    def add_question(self, conversation_id: str, question: str, *, owner_id: str, instead_of: int | None = None) -> int:
        """Store the question and an empty answer below it; return the id of the answer."""
        with self.db.write() as session:
            conversation = owned(session, conversation_id, owner_id)
            parent = conversation.head_id
            if instead_of is not None:
                parent = _message(session, conversation_id, instead_of, role="user").parent_id
            asked = MessageRow(conversation_id=conversation_id, parent_id=parent, role="user", content=question)
            session.add(asked)
            session.flush()
            if not conversation.title:
                shortened = " ".join(question.split())
                conversation.title = shortened[:FIRST_TITLE] + ("…" if len(shortened) > FIRST_TITLE else "")
            return _add_answer(session, conversation, asked.id)

    def add_answer(self, conversation_id: str, message_id: int, *, owner_id: str) -> int:
        """Store another empty answer beside an earlier one; return its id."""
        with self.db.write() as session:
            conversation = owned(session, conversation_id, owner_id)
            earlier = _message(session, conversation_id, message_id, role="assistant")
            if earlier.parent_id is None:
                raise NotFound("The question of this answer does not exist any more.")
            return _add_answer(session, conversation, earlier.parent_id)

    def request(self, message_id: int, *, owner_id: str, cancel: threading.Event, trace: Trace) -> AnswerRequest:
        """Everything the answer with this id depends on, with the pipeline it is attributed to."""
        with self.db.read() as session:
            row = session.get_one(MessageRow, message_id)
            conversation = owned(session, row.conversation_id, owner_id)
            branch = branch_to(session, row)
            scope = trace.scope = scope_of(conversation)
            history = history_of(branch[:-1])
            summary, summarised = remembered(session, branch[:-1], len(history))
        recipe = self.recipe()
        answer, condense = self.prompts.published("answer"), self.prompts.published("condense")
        pipeline = self.pipelines.identify(
            prompt_version_id=answer.id,
            model=recipe.model,
            model_sha256=recipe.model_sha256,
            embedder=recipe.embedder,
            retrieval={
                "passages": recipe.passages,
                "fusion": FUSION,
                "condense_version": condense.version,
                "calibration": self.calibration(scope.collection_id),
                **asdict(recipe.habits),
            },
            sampling=asdict(recipe.options),
            endpoint=recipe.endpoint,
        )
        with self.db.write() as session:
            session.execute(update(MessageRow).where(MessageRow.id == message_id).values(pipeline_id=pipeline))
        return AnswerRequest(
            question=branch[-1].content,
            scope=scope,
            answer_prompt=answer.text,
            condense_prompt=condense.text,
            history=tuple(history[summarised:]),
            options=recipe.options,
            cancel=cancel,
            trace=trace,
            habits=recipe.habits,
            prompts=self._other_prompts(),
            summary=summary,
            summarised=summarised,
        )

    def draft(
        self, question: str, scope: Scope, *, history: tuple[ChatMessage, ...], cancel: threading.Event, trace: Trace
    ) -> AnswerRequest:
        """The request of a question that is not stored."""
        recipe = self.recipe()
        return AnswerRequest(
            question=question,
            scope=scope,
            answer_prompt=self.prompts.published("answer").text,
            condense_prompt=self.prompts.published("condense").text,
            history=history,
            options=recipe.options,
            cancel=cancel,
            trace=trace,
            habits=recipe.habits,
            prompts=self._other_prompts(),
        )

    def replay(
        self, message_id: int, prompt: str, *, owner_id: str, cancel: threading.Event, trace: Trace
    ) -> AnswerRequest:
        """The request of an earlier answer with its passages frozen, and another answer prompt."""
        with self.db.read() as session:
            row = session.get(MessageRow, message_id)
            if row is None or row.parent_id is None:
                raise NotFound("There is no such answer.")
            owned(session, row.conversation_id, owner_id)
            question = row.query or session.get_one(MessageRow, row.parent_id).content
            stored = load_passages(session, [message_id]).get(message_id, [])
            passages = [with_context(session, passage) for passage in stored if passage.text]
        return AnswerRequest(
            question=question,
            scope=Scope(owner_id),
            answer_prompt=prompt,
            condense_prompt="",
            passages=tuple(passages),
            options=self.recipe().options,
            cancel=cancel,
            trace=trace,
        )

    def _other_prompts(self) -> dict[str, str]:
        return self.prompts.texts(OTHER_PROMPTS)

    def save_passages(self, message_id: int, passages: Sequence[Passage], query: str) -> None:
        with self.db.write() as session:
            session.execute(update(MessageRow).where(MessageRow.id == message_id).values(query=query))
            alive = _existing(session, [passage.document_id for passage in passages])
            rows = [
                {
                    "message_id": message_id,
                    "rank": rank,
                    "document_id": passage.document_id if passage.document_id in alive else None,
                    **_place(passage),
                    "score": passage.score,
                    "dense_score": passage.dense_score,
                    "keyword_score": passage.keyword_score,
                    "kept": [list(part) for part in passage.kept],
                    "digest": digest(passage.text),
                    "stages": stages.to_row(passage),
                }
                for rank, passage in enumerate(passages, 1)
            ]
            if rows:
                session.execute(insert(PassageRow), rows)

    def save_partial(self, message_id: int, text: str) -> None:
        """Keep what is written so far, unless the turn has ended meanwhile."""
        writing = (MessageRow.id == message_id, MessageRow.state == MessageState.writing.value)
        with self.db.write() as session:
            session.execute(update(MessageRow).where(*writing).values(content=text))

    def finish(self, message_id: int, result: TurnResult, trace: Trace) -> None:
        """Store the end of a turn in one transaction."""
        with self.db.write() as session:
            row = session.get(MessageRow, message_id)
            if row is None:  # the conversation was deleted while the answer was being written
                return
            row.content, row.state, row.error = result.text, result.state.value, result.error
            citations = result.cited.citations if result.cited else ()
            alive = _existing(session, [citation.document_id for citation in citations])
            session.execute(delete(CitationRow).where(CitationRow.message_id == message_id))
            session.add_all(
                CitationRow(
                    message_id=message_id,
                    number=citation.number,
                    document_id=citation.document_id if citation.document_id in alive else None,
                    support=citation.support,
                    digest=digest(citation.quote),
                    **_place(citation),
                )
                for citation in citations
            )
            conversation = session.get_one(ConversationRow, row.conversation_id)
            conversation.updated_at = now()
            seconds = sum(span.seconds for span in trace.spans)
            session.merge(
                TraceRow(
                    message_id=message_id,
                    owner_id=conversation.owner_id,
                    spans=[asdict(span) for span in trace.spans],
                    usage={**asdict(trace.usage), "seconds": round(seconds, 3)},
                    ledger=trace.ledger,
                    verdict=to_row(result.cited),
                    scope=trace.scope.as_dict() if trace.scope else None,
                )
            )


def _add_answer(session: Session, conversation: ConversationRow, question_id: int) -> int:
    answer = MessageRow(
        conversation_id=conversation.id, parent_id=question_id, role="assistant", state=MessageState.writing.value
    )
    session.add(answer)
    session.flush()
    conversation.head_id, conversation.updated_at = answer.id, now()
    return answer.id


def _message(session: Session, conversation_id: str, message_id: int, *, role: str) -> MessageRow:
    row = session.get(MessageRow, message_id)
    if row is None or row.conversation_id != conversation_id or row.role != role:
        raise NotFound("There is no such message in this conversation.")
    return row


def _existing(session: Session, document_ids: Sequence[str]) -> set[str]:
    """Those that were not deleted while the answer was being written."""
    return {id for id in set(document_ids) if id and session.get(DocumentRow, id) is not None}


def _place(found: object) -> dict[str, object]:
    names = ("document_title", "start", "end", "page", "heading")
    return {name: getattr(found, name) for name in names}
