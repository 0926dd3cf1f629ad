"""The one client that everybody uses to reach a model: OpenAI protocol, typed results, errors in our own words."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np
from numpy.typing import NDArray

from core.errors import Cancelled, ModelUnavailable
from core.models.connection import GONE, from_body, hang_up, raise_for, reached, unless_cancelled
from core.models.status import DOWN, ServerStatus, server_status
from core.types import ChatMessage, GenerationChunk, GenerationOptions, InnerState, Usage

if TYPE_CHECKING:  # it takes half a second to import: `prepare` and the first question do, the first page does not
    import openai
    from openai.types.chat import ChatCompletionChunk

CONNECT_SECONDS = 3.0
# The server sends something at least while it reads the prompt; a silence this long means that it hangs.
SILENCE_SECONDS = 600.0
NONSENSE = (AttributeError, KeyError, TypeError, ValueError)  # an answer that is none, of whatever listens there now
STARTING = "The model is still starting. Try again in a few seconds."


@dataclass(frozen=True, slots=True)
class Address:
    """Where the model server listens, as it wrote it down after binding."""

    port: int
    secret: str
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class ModelClient:
    """Finds the model server through `<data>/run/model-server.json`, again after every restart. Thread-safe."""

    def __init__(self, run: Path) -> None:
        self._file = run / "model-server.json"
        self._lock = threading.Lock()
        self._address: Address | None = None
        self._http: httpx2.Client | None = None
        self._former: httpx2.Client | None = None
        self._openai: openai.OpenAI | None = None

    def chat(
        self,
        messages: Sequence[ChatMessage],
        options: GenerationOptions,
        cancel: threading.Event,
        *,
        model: str = "",
    ) -> Iterator[GenerationChunk]:
        """Stream an answer. Raises Cancelled once `cancel` is set, also while the prompt is being read.

        `model` is the active one unless it names a guest.
        """
        extra = {"return_progress": True, "priority": options.priority, "cache_prompt": options.cache_prompt}
        with _asked(cancel):
            create: Callable[[], Any] = partial(
                self._api().chat.completions.create,
                model=model,
                messages=[{"role": message.role, "content": message.content} for message in messages],
                max_tokens=options.max_tokens,
                temperature=options.temperature,
                top_p=options.top_p,
                seed=options.seed,
                stop=list(options.stop) or None,
                stream=True,
                stream_options={"include_usage": True},
                extra_body=extra | _extras(options),
            )
            stream = unless_cancelled(create, cancel, late=lambda stream: stream.close())
            with stream, hang_up(stream.response, cancel):
                for chunk in stream:
                    if cancel.is_set():
                        raise Cancelled("Stopped.")
                    yield _generation_chunk(chunk)

    def embed(self, texts: Sequence[str], *, priority: str, model: str = "") -> NDArray[np.float32]:
        """Vectors of length 1, float32, shape (len(texts), dimension). `priority` is query or ingest.

        `model` is the server's embedding model unless it names another, which is then loaded beside it.
        """
        with _asked():
            result = self._api().embeddings.create(model=model, input=list(texts), extra_body={"priority": priority})
            return np.array([item.embedding for item in result.data], dtype=np.float32)

    def rerank(self, query: str, passages: Sequence[str]) -> tuple[str, list[float]]:
        """The reranker's id, and how well each passage answers the query: higher is better. Raises ModelMissing."""
        body = self._post("/v1/rerank", {"query": query, "documents": list(passages)})
        scores = {int(result["index"]): float(result["relevance_score"]) for result in body["results"]}
        return str(body["model"]), [scores[place] for place in range(len(passages))]

    def embedding_form(self, model: str = "") -> str:
        """How an embedding model is computed: part of the identity of its vectors. "" while that is not known."""
        status = self.status()
        found = status.second if model and model == status.second.id else status.embedder
        return found.form if model in ("", found.id) else ""

    def count(self, contents: Sequence[str]) -> list[int]:
        """Tokens of each text, as the engine counts them, without the template around it."""
        counts: list[int] = self._post("/tokenize", {"contents": list(contents)})["counts"]
        return counts

    def count_messages(self, messages: Sequence[ChatMessage]) -> int:
        """Tokens of the whole prompt, template included."""
        body = {"messages": [{"role": m.role, "content": m.content} for m in messages]}
        return int(self._post("/tokenize", body)["count"])

    def work(self, path: str, body: dict[str, Any], cancel: threading.Event) -> Iterator[dict[str, Any]]:
        """Have the server do something that takes minutes; yields what it says on the way, at last the `result`.

        Raises Cancelled once `cancel` is set, which ends the work, and what the server could not do.
        """
        with reached(), self._connected().stream("POST", path, json=body) as reply:
            if reply.is_error:
                reply.read()
            raise_for(reply)
            with hang_up(reply, cancel):
                try:
                    for line in reply.iter_lines():
                        if cancel.is_set():
                            break
                        if line.startswith("data: "):
                            message = json.loads(line.removeprefix("data: "))
                            if "error" in message:
                                raise from_body(message, None)
                            yield message
                except httpx2.TransportError:
                    if not cancel.is_set():
                        raise
        if cancel.is_set():
            raise Cancelled("Stopped.")

    def invite(self, model_id: str) -> None:
        """Have a second chat model loaded beside the active one; it is asked with `model`. Takes seconds."""
        self._post("/models/guest", {"id": model_id})

    def load(self, model_id: str) -> None:
        """Ask the server to change its chat model, or load the embedding model that was missing; see `status`."""
        self._post("/models/load", {"id": model_id})

    def context_tokens(self) -> int:
        """Tokens that one prompt and its answer may have together."""
        with reached():
            reply = self._connected().get("/v1/models")
            raise_for(reply)
            return next((int(m["context_length"]) for m in reply.json()["data"] if m["role"] == "chat"), 0)

    def status(self) -> ServerStatus:
        """Never raises: an unreachable server is a status too."""
        try:
            return server_status(self._connected().get("/healthz", timeout=CONNECT_SECONDS).json())
        except (httpx2.HTTPError, ModelUnavailable, *NONSENSE):
            return DOWN

    def metrics(self) -> str:
        """The model server's figures in Prometheus' text format. Raises ModelUnavailable."""
        with reached():
            reply = self._connected().get("/metrics", timeout=CONNECT_SECONDS)
            raise_for(reply)
            return str(reply.text)

    def recent(self) -> list[dict[str, Any]]:
        """Its last minutes as samples, the oldest first; none while it cannot be reached."""
        try:
            reply = self._connected().get("/metrics/recent", timeout=CONNECT_SECONDS)
            return list(reply.json()["samples"])
        except (httpx2.HTTPError, ModelUnavailable, *NONSENSE):
            return []

    @staticmethod
    def prepare() -> None:
        """Import what the first question would have to wait for."""
        import openai  # noqa: F401

    def close(self) -> None:
        with self._lock:
            for client in filter(None, (self._http, self._former)):
                client.close()
            self._http = self._former = self._openai = self._address = None

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with reached():
            reply = self._connected().post(path, json=body)
            raise_for(reply)
            return dict(reply.json())

    def _connected(self) -> httpx2.Client:
        address = self._read_address()
        with self._lock:
            if address != self._address or self._http is None:
                if self._former:
                    self._former.close()
                self._former = self._http  # closed at the next change: somebody may be about to ask with it
                self._http = httpx2.Client(
                    base_url=address.url,
                    headers={"Authorization": f"Bearer {address.secret}"},
                    timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
                    trust_env=False,  # a proxy has no business between two processes of one machine
                )
                self._openai, self._address = None, address
            return self._http

    def _api(self) -> openai.OpenAI:
        import openai

        self._connected()
        with self._lock:
            if self._openai is None:
                address = self._address or self._read_address()
                self._openai = openai.OpenAI(
                    base_url=f"{address.url}/v1", api_key=address.secret, http_client=self._http, max_retries=0
                )
            return self._openai

    def _read_address(self) -> Address:
        try:
            body = json.loads(self._file.read_text())
            return Address(body["port"], body["secret"], body["pid"])
        except (OSError, *NONSENSE) as error:
            raise ModelUnavailable(STARTING) from error


@contextmanager
def _asked(cancel: threading.Event | None = None) -> Iterator[None]:
    """Our own errors for everything that the protocol, the library and the network can say."""
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        raise from_body(error.body, error.response.headers.get("retry-after")) from error
    except (openai.APIConnectionError, httpx2.TransportError) as error:
        if cancel is not None and cancel.is_set():
            raise Cancelled("Stopped.") from error
        raise ModelUnavailable(GONE) from error
    except openai.APIError as error:
        raise from_body(error.body, None) from error


def _generation_chunk(chunk: ChatCompletionChunk) -> GenerationChunk:
    extra = chunk.model_extra or {}
    progress = extra.get("prompt_progress") or {}
    choice = chunk.choices[0] if chunk.choices else None
    return GenerationChunk(
        text=(choice.delta.content or "") if choice and choice.delta else "",
        queue_position=extra.get("queue_position"),
        queue_seconds=extra.get("queue_seconds"),
        restarted=extra.get("restarted") or "",
        read_tokens=progress.get("processed"),
        prompt_tokens=progress.get("total"),
        finish_reason=choice.finish_reason if choice else None,
        usage=_usage(chunk, extra.get("timings") or {}),
        logprob=choice.logprobs.content[0].logprob if choice and choice.logprobs and choice.logprobs.content else None,
        inner_state=InnerState.decoded(chunk.model, inner) if (inner := extra.get("inner_state")) else None,
    )


def _extras(options: GenerationOptions) -> dict[str, Any]:
    """What is only sent when somebody wants it."""
    extras: dict[str, Any] = {}
    if options.json_schema:
        schema = {"name": "answer", "schema": json.loads(options.json_schema)}
        extras["response_format"] = {"type": "json_schema", "json_schema": schema}
    if options.top_logprobs is not None:
        extras |= {"logprobs": True, "top_logprobs": options.top_logprobs}
    if options.inner_state:
        extras["return_inner_state"] = True
    return extras


def _usage(chunk: ChatCompletionChunk, timings: dict[str, float]) -> Usage | None:
    if chunk.usage is None:
        return None
    details = chunk.usage.prompt_tokens_details
    first = timings.get("queue_ms", 0) + timings.get("first_token_ms", 0)
    total = timings.get("queue_ms", 0) + timings.get("prompt_ms", 0) + timings.get("generation_ms", 0)
    return Usage(
        prompt_tokens=chunk.usage.prompt_tokens,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
        completion_tokens=chunk.usage.completion_tokens,
        queue_seconds=timings.get("queue_ms", 0) / 1000,
        first_token_seconds=first / 1000,
        total_seconds=total / 1000,
    )
