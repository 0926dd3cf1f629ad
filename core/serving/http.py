"""The model server's HTTP application: OpenAI's protocol on loopback."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from core.errors import BadQuestion, ModelMissing
from core.models.catalog import is_installed
from core.models.local import known_models
from core.serving import completions
from core.serving.chat_process import ChatProcess
from core.serving.edge import RequireSecret, add_error_handlers, host_of, read_body, unless_gone
from core.serving.host import ModelHost, require_model
from core.serving.metrics import SAMPLE_SECONDS
from core.serving.protocol import MAX_LISTED, EmbeddingsBody, LoadBody, QuantizeBody, RerankBody, TokenizeBody
from core.serving.replies import embeddings
from core.serving.workshop import Work, events


def build_app(host: ModelHost, secret: str) -> FastAPI:
    """The application; it ends the requests of `host` when it is shut down."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(host.close)

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.host = host
    app.add_middleware(RequireSecret, secret=secret)
    add_error_handlers(app)
    app.include_router(completions.router)
    app.add_api_route("/healthz", healthz)
    app.add_api_route("/v1/models", models)
    app.add_api_route("/v1/embeddings", embed, methods=["POST"])
    app.add_api_route("/v1/rerank", rerank, methods=["POST"])
    app.add_api_route("/tokenize", tokenize, methods=["POST"])
    app.add_api_route("/metrics", metrics)
    app.add_api_route("/metrics/recent", recent)
    app.add_api_route("/models/guest", invite, methods=["POST"])
    app.add_api_route("/models/examine", examine, methods=["POST"])
    app.add_api_route("/models/quantize", quantize, methods=["POST"])
    app.add_api_route("/models/load", load, methods=["POST"])
    return app


async def healthz(request: Request) -> dict[str, Any]:
    host = host_of(request)
    second = host.embedders.second
    return {
        "status": host.status,
        "chat": asdict(host.chat_status()),
        "embedder": asdict(host.embedders.status),
        "second_embedder": {"id": second.id, "status": "ok" if second.id else "", "form": second.form},
        "queue": {"waiting": host.engine.waiting, "running": host.engine.running},
        "pid": os.getpid(),
    }


async def models(request: Request) -> dict[str, Any]:
    """The installed models, the active ones first, as long as the context that a request really has."""
    host = host_of(request)
    chat = host.engine.chat
    lengths = {chat.id: chat.context_tokens} if chat else {}
    if embedder := host.embedders.first:
        lengths[embedder.id] = embedder.max_tokens
    installed = [model for model in known_models(host.store).values() if is_installed(model, host.store)]
    items = [
        {
            "id": model.id,
            "object": "model",
            "created": 0,
            "owned_by": "groundwork",
            "role": model.role,
            "active": model.id in lengths,
            "context_length": lengths.get(model.id, model.context_tokens),
        }
        for model in sorted(installed, key=lambda model: model.id not in lengths)
    ]
    return {"object": "list", "data": items}


async def embed(request: Request) -> JSONResponse:
    body = await read_body(request, EmbeddingsBody)
    embedder = host_of(request).embedders.find(body.model)
    job = embedder.submit(body.texts, question=body.priority == "query")
    found = await unless_gone(request, asyncio.wrap_future(job))
    return JSONResponse(embeddings(embedder.id, found, encoding=body.encoding_format))


async def rerank(request: Request) -> dict[str, Any]:
    """Passages in the order in which they answer the query. Raises ModelMissing without a reranker."""
    body = await read_body(request, RerankBody)
    embedders = host_of(request).embedders
    embedder = embedders.find()
    if not embedders.reranker:
        raise ModelMissing("No reranker is installed. Groundwork works without one; the Models page lists some.")
    require_model(body.model, embedders.reranker)
    scores = await unless_gone(request, asyncio.wrap_future(embedder.rank(body.query, body.documents)))
    order = sorted(range(len(scores)), key=lambda place: -scores[place])[: body.top_n]
    results = [
        {"index": place, "relevance_score": scores[place]}
        | ({"document": {"text": body.documents[place]}} if body.return_documents else {})
        for place in order
    ]
    return {"object": "list", "model": embedders.reranker, "results": results}


async def tokenize(request: Request) -> JSONResponse:
    body = await read_body(request, TokenizeBody)
    return await run_in_threadpool(_count, host_of(request).chat_model(), body)


def _count(chat: ChatProcess, body: TokenizeBody) -> JSONResponse:
    if body.messages is not None:
        count, system = chat.count([message.plain() for message in body.messages])
        return JSONResponse({"count": count, "system": system})
    if body.contents is not None:
        return JSONResponse({"counts": chat.counts(body.contents)})
    content = body.content or ""
    if len(content) > MAX_LISTED:
        raise BadQuestion(
            f"The text has {len(content):,} characters, and tokens are listed of {MAX_LISTED:,} at most. Send less of "
            "it, or send it in contents, whose tokens are only counted."
        )
    tokens = chat.tokenize([content])[0]
    return JSONResponse({"tokens": tokens, "count": len(tokens)})


async def metrics(request: Request) -> Response:
    text = await run_in_threadpool(host_of(request).metrics.text)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def recent(request: Request) -> dict[str, Any]:
    """The last ten minutes, for charts."""
    return {"seconds": SAMPLE_SECONDS, "samples": host_of(request).metrics.recent()}


async def invite(request: Request) -> dict[str, Any]:
    """Load a second model beside the active one; answers when it can be asked by its name."""
    body = await read_body(request, LoadBody)
    await run_in_threadpool(host_of(request).guests.invite, body.id)
    return {"id": body.id, "status": "ok"}


async def examine(request: Request) -> Response:
    body = await read_body(request, LoadBody)
    return _worked(await host_of(request).workshop.examine(body.id))


async def quantize(request: Request) -> Response:
    body = await read_body(request, QuantizeBody)
    return _worked(await host_of(request).workshop.quantize(body.id, body.kind, body.target))


def _worked(work: Work) -> Response:
    async def lines() -> AsyncIterator[str]:
        async for message in events(work):
            yield f"data: {json.dumps(message, ensure_ascii=False)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def load(request: Request) -> JSONResponse:
    body = await read_body(request, LoadBody)
    host_of(request).load(body.id)
    return JSONResponse({"id": body.id, "status": "loading"}, 202)
