"""The OpenAI protocol over the whole way of a question: retrieval, answer, citations in an extension field."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse, StreamingResponse

from core import services
from core.chat.turns import LiveTurn
from core.chat.verdicts import to_row
from core.errors import BadQuestion, Cancelled, GroundworkError, ModelBusy, from_code
from core.guard import whole
from core.types import (
    ChatMessage,
    Citation,
    Cited,
    Done,
    Event,
    Failed,
    Filters,
    Passage,
    Reading,
    Retrieved,
    Scope,
    Token,
    Usage,
    Waiting,
)

MODEL = "groundwork"
HEAD_SECONDS = 5.0  # for the head of a stream: many clients wait ten seconds for it
TAKEN_ON = (Waiting, Reading, Token, Cited)  # the first of these tells that the queue was not full
NO_BUFFERING = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

router = APIRouter(tags=["chat"])


class ApiMessage(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, BeforeValidator(whole)] = Field(max_length=200_000)


def _in_utc(moment: datetime) -> datetime:
    """A moment without a zone is in UTC. Raises ValueError for years that no calendar on a page shows."""
    if not 1900 <= moment.year < 2100:
        raise ValueError("the year is from 1900 to 2099")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


Words = Annotated[list[Annotated[str, BeforeValidator(whole), Field(max_length=200)]], Field(max_length=100)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]


class ApiFilters(BaseModel):
    """Which kinds of documents are asked; a word that is none of these is refused, or it would filter nothing."""

    media_types: Words = []
    languages: Words = []
    tags: Words = []
    since: Moment | None = None
    until: Moment | None = None

    model_config = ConfigDict(extra="forbid")

    def filters(self, owner_id: str) -> Filters:
        """Another spelling of a tag is that tag."""
        tags = services.get().library.spelled(self.tags, owner_id=owner_id)
        return Filters(tuple(self.media_types), tuple(self.languages), tags, self.since, self.until)


class ChatRequest(BaseModel):
    """OpenAI's body; sampling fields are accepted and ignored, because the published pipeline decides them.

    Extensions: `collection` (a name) or `document_ids`, and `filters`, narrow what is asked. With `store` the question
    and its answer are kept as a conversation, `conversation_id` goes on with one; its own history and documents are
    then used.
    """

    model_config = ConfigDict(extra="ignore")

    model: str = MODEL
    messages: list[ApiMessage] = Field(min_length=1, max_length=200)
    stream: bool = False
    store: bool = False
    conversation_id: str | None = Field(None, max_length=64)
    collection: str | None = None
    document_ids: list[str] = Field(default_factory=list, max_length=1000)
    filters: ApiFilters = Field(default_factory=ApiFilters)


@router.get("/models")
def list_models() -> dict[str, Any]:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "groundwork"}]}


@router.post("/chat/completions", response_model=None)
async def complete(body: ChatRequest, request: Request) -> JSONResponse | StreamingResponse:
    """Answer the last message of the user from the documents; earlier messages are its history."""
    turn = await anyio.to_thread.run_sync(_start, body)
    if body.stream:
        await _begun(turn, request)
        return StreamingResponse(_stream(turn), media_type="text/event-stream", headers=NO_BUFFERING)
    try:
        while not await anyio.to_thread.run_sync(turn.ended, 0.5):
            if await request.is_disconnected():
                break
    finally:
        _hung_up(turn)
    return JSONResponse(_completion(turn))


async def _begun(turn: LiveTurn, request: Request) -> None:
    """Wait until the model has taken the question on: what fails before that has an HTTP status, as everywhere else.

    After HEAD_SECONDS the answer begins all the same, so that the line is kept open while nothing is said. Raises what
    the turn failed with.
    """
    end, waiting = time.monotonic() + HEAD_SECONDS, True
    try:
        while turn.active and time.monotonic() < end and not any(isinstance(event, TAKEN_ON) for event in turn.events):
            await anyio.to_thread.run_sync(turn.wait, len(turn.events), 0.5)
            if await request.is_disconnected():
                raise Cancelled("The connection was closed.")
        waiting = False
    finally:
        if waiting:
            _hung_up(turn)
    failed = next((event for event in turn.events if isinstance(event, Failed)), None)
    if failed and not turn.text:
        raise _error(failed)


def _hung_up(turn: LiveTurn) -> None:
    """A client that goes away stops the model, unless the answer is kept for it."""
    if not turn.message_id:
        turn.cancel.set()


def _start(body: ChatRequest) -> LiveTurn:
    live = services.get()
    user = live.accounts.who()
    messages = [ChatMessage(m.role, m.content) for m in body.messages if m.role != "system"]
    if not messages or messages[-1].role != "user":
        raise BadQuestion("The last message must be the user's question.")
    collection = None
    if body.collection:
        collection = live.documents.find_collection(body.collection, owner_id=user.id)
    if body.conversation_id:
        return live.turns.ask(body.conversation_id, messages[-1].content, owner_id=user.id)
    if body.store:
        if len(body.document_ids) > 1:
            raise BadQuestion(
                "A stored conversation asks one document, a collection or everything: put the documents "
                "into a collection, or ask without `store`."
            )
        return live.turns.begin(
            messages[-1].content,
            owner_id=user.id,
            collection_id=collection,
            document_id=body.document_ids[0] if body.document_ids else None,
            filters=body.filters.filters(user.id),
        )
    scope = Scope(user.id, collection, tuple(body.document_ids), body.filters.filters(user.id))
    return live.turns.ask_once(messages[-1].content, scope, history=messages[:-1])


async def _stream(turn: LiveTurn) -> AsyncIterator[str]:
    identity = _identity("chat.completion.chunk", turn)
    seen = 0
    try:
        yield _line(identity | {"choices": [_choice({"role": "assistant", "content": ""})]})
        while True:
            active = turn.active
            await anyio.to_thread.run_sync(turn.wait, seen, 0.5)
            events = turn.events[seen:]
            seen += len(events)
            for event in events:
                if body := _chunk(event):
                    yield _line(body if "error" in body else identity | body)
            if not events:
                if not active:
                    break
                yield ": still working\n\n"
        yield "data: [DONE]\n\n"
    finally:
        _hung_up(turn)


def _chunk(event: Event) -> dict[str, Any] | None:
    match event:
        case Token(text):
            return {"choices": [_choice({"content": text})]}
        case Retrieved(passages):
            return {"choices": [], "passages": [_passage(n, passage) for n, passage in enumerate(passages, 1)]}
        case Cited(text, citations):
            found = {"citations": [_citation(citation) for citation in citations], "verdict": to_row(event)}
            extra: dict[str, Any] = {"answer": text, **found}
            return {"choices": [_choice({}, "stop")], **extra}
        case Done(usage):
            return {"choices": [], "usage": _usage(usage)}
        case Failed(message, code, retry_after):
            later = {} if retry_after is None else {"retry_after": math.ceil(retry_after)}
            return {"error": {"code": code, "type": code, "message": message, **later}}
        case _:
            return None


def _completion(turn: LiveTurn) -> dict[str, Any]:
    found: dict[type, Any] = {type(event): event for event in turn.events}
    if failed := found.get(Failed):
        raise _error(failed)
    if Cited not in found:
        raise GroundworkError("The answer was stopped.")
    cited, retrieved, done = found[Cited], found[Retrieved], found[Done]
    message = {"role": "assistant", "content": cited.text}
    return _identity("chat.completion", turn) | {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(done.usage),
        "citations": [_citation(citation) for citation in cited.citations],
        "verdict": to_row(cited),
        "passages": [_passage(number, passage) for number, passage in enumerate(retrieved.passages, 1)],
    }


def _error(failed: Failed) -> GroundworkError:
    error = from_code(failed.code, failed.message)
    if isinstance(error, ModelBusy) and failed.retry_after is not None:
        error.retry_after = failed.retry_after
    return error


def _identity(kind: str, turn: LiveTurn) -> dict[str, Any]:
    created = int(time.time())
    stored = {"conversation_id": turn.conversation_id, "message_id": turn.message_id} if turn.message_id else {}
    common = {"id": f"chatcmpl-{uuid4().hex}", "object": kind, "created": created, "model": MODEL}
    return common | {"ai_generated": True} | stored


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _citation(citation: Citation) -> dict[str, Any]:
    return asdict(citation)


def _passage(number: int, passage: Passage) -> dict[str, Any]:
    return asdict(replace(passage, section="")) | {"number": number}  # what the model was given, not all around it


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "timings": {
            "queue": usage.queue_seconds,
            "first_token": usage.first_token_seconds,
            "total": usage.total_seconds,
        },
    }


def _line(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
