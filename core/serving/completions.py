"""POST /v1/chat/completions: the engine's news as an answer in one piece or as a stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from core.errors import GroundworkError, ModelUnavailable
from core.serving.edge import error_body, host_of, read_body, unless_gone
from core.serving.engine import Engine
from core.serving.generation import Failure, Finish, Generation, News, Text
from core.serving.protocol import ChatBody
from core.serving.replies import Completion

router = APIRouter()


@router.post("/v1/chat/completions")
async def complete(request: Request) -> Response:
    body = await read_body(request, ChatBody)
    host = host_of(request)
    engine = host.engine_of(body.model)
    mailbox = Mailbox()
    messages = [message.plain() for message in body.messages]
    # Rendering and counting a long prompt takes milliseconds that the other connections should not wait.
    try:
        generation = await run_in_threadpool(engine.submit, messages, body.options(), mailbox.put, user=body.user or "")
    except GroundworkError as error:
        host.metrics.refused(error)
        raise
    completion = Completion(engine.chat.id if engine.chat else body.model)
    if body.stream:
        return Stream(_events(mailbox, completion, progress=body.return_progress), engine, generation)
    try:
        return JSONResponse(await unless_gone(request, _whole(mailbox, completion)))
    finally:
        engine.cancel(generation)


class Mailbox:
    """Carries news from the engine's thread into the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[News] = asyncio.Queue()

    def put(self, news: News) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)

    async def __aiter__(self) -> AsyncIterator[News]:
        """All news up to the end of the request."""
        while True:
            news = await self._news.get()
            yield news
            if isinstance(news, Finish | Failure):
                return


class Stream(StreamingResponse):
    """Server-sent events. However it ends, also by a closed connection, the engine works on it no longer."""

    def __init__(self, events: AsyncIterator[str], engine: Engine, generation: Generation) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._engine, self._generation = engine, generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._engine.cancel(self._generation)


async def _events(mailbox: Mailbox, completion: Completion, *, progress: bool) -> AsyncIterator[str]:
    yield _event(completion.chunk({"role": "assistant", "content": ""}))
    async for news in mailbox:
        if isinstance(news, Text):
            yield _event(completion.text(news))
        elif isinstance(news, Finish):
            yield _event(completion.last(news))
        elif isinstance(news, Failure):
            yield _event(error_body(news.error))
        elif progress:
            yield _event(completion.news(news))
    yield "data: [DONE]\n\n"


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


async def _whole(mailbox: Mailbox, completion: Completion) -> dict[str, Any]:
    """The answer in one piece. Raises what the engine failed with."""
    texts: list[Text] = []
    async for news in mailbox:
        if isinstance(news, Text):
            texts.append(news)
        elif isinstance(news, Failure):
            raise news.error
        elif isinstance(news, Finish):
            return completion.whole(texts, news)
    raise ModelUnavailable("The answer ended early. Ask again.")
