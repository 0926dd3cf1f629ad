"""How an answer was made, read from what was stored of it: steps, ledger, model, prompt version, settings, passages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.chat.branches import branch_to, history_of, with_context
from core.chat.conversations import load_passages, owned
from core.chat.scopes import scope_of
from core.chat.verdicts import from_row
from core.errors import NotFound
from core.storage.db import Database
from core.storage.tables import MessageRow, PipelineRow, PromptVersionRow, TraceRow
from core.types import ChatMessage, Cited, Passage, Scope

GENERATE = "generate"


@dataclass(frozen=True, slots=True)
class Step:
    """One timed step; `started` and `seconds` in seconds since the turn began."""

    name: str
    started: float
    seconds: float
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the answer is attributed to. `prompt` is the number of the version of the answer prompt."""

    prompt: int
    prompt_text: str
    model: str
    model_sha256: str
    endpoint: str
    embedder: str
    retrieval: Mapping[str, Any]
    sampling: Mapping[str, Any]
    code_version: str


@dataclass(frozen=True, slots=True)
class Making:
    """Everything that is known of how an answer was made.

    `attribution` is None for answers of versions that kept none. `ledger` is that of core/chat/ledger.py as it was
    stored. `scope` is what was asked then; of answers of versions that did not keep it, what the conversation asks now.
    `gone` are the numbers of passages whose document is, `changed` those whose words are others now.
    """

    message_id: int
    question: str
    query: str
    answer: str
    created_at: datetime
    scope: Scope
    steps: tuple[Step, ...]
    usage: Mapping[str, Any]
    ledger: Mapping[str, Any]
    cited: Cited | None
    attribution: Attribution | None
    passages: tuple[Passage, ...]
    history: tuple[ChatMessage, ...]
    gone: tuple[int, ...]
    changed: tuple[int, ...]

    @property
    def prompt_sha256(self) -> str:
        """The hash of the prompt that the model was given; empty when it is not known."""
        first = next((step for step in self.steps if step.name == GENERATE), None)
        return str(first.attributes.get("prompt_sha256", "")) if first else ""


def making_of(db: Database, message_id: int, *, owner_id: str) -> Making:
    """Raises NotFound for what is no answer of this person, and for an answer without a record."""
    with db.read() as session:
        row = session.get(MessageRow, message_id)
        trace = session.get(TraceRow, message_id)
        if row is None or row.parent_id is None or trace is None:
            raise NotFound("Nothing is known about how this answer was made.")
        conversation = owned(session, row.conversation_id, owner_id)
        branch = branch_to(session, row)
        stored = load_passages(session, [message_id]).get(message_id, [])
        return Making(
            message_id=message_id,
            question=branch[-1].content,
            query=row.query,
            answer=row.content,
            created_at=row.created_at,
            scope=scope_of(conversation) if trace.scope is None else Scope.from_dict(owner_id, trace.scope),
            steps=tuple(_step(span) for span in sorted(trace.spans, key=lambda span: float(span["started"]))),
            usage=trace.usage,
            ledger=trace.ledger,
            cited=from_row(trace.verdict, row.content, ()),
            attribution=_attribution(session, row.pipeline_id),
            passages=tuple(with_context(session, passage) for passage in stored),
            history=tuple(history_of(branch[:-1])),
            gone=tuple(passage.rank for passage in stored if not passage.text and not passage.changed),
            changed=tuple(passage.rank for passage in stored if passage.changed),
        )


def _step(span: Mapping[str, Any]) -> Step:
    return Step(str(span["name"]), float(span["started"]), float(span["seconds"]), span.get("attributes") or {})


def _attribution(session: Session, pipeline_id: str | None) -> Attribution | None:
    row = session.get(PipelineRow, pipeline_id) if pipeline_id else None
    if row is None:
        return None
    version = session.get_one(PromptVersionRow, row.prompt_version_id)
    return Attribution(
        version.version, version.text, row.model, row.model_sha256, row.endpoint, row.embedder, row.retrieval,
        row.sampling, row.code_version,
    )  # fmt: skip
