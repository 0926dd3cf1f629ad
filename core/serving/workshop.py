"""Longer work on models: examinations and smaller files, each in a process of its own that can be stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from core.errors import BadQuestion, GroundworkError, ModelCrashed, ModelUnavailable, StorageFull
from core.models.catalog import CatalogModel, installed_path
from core.models.gguf import read_gguf
from core.models.local import find_model
from core.serving.chat_process import MODULE
from core.serving.child import Child, Reply
from core.serving.fitting import fitted, identity
from core.serving.machine import free_space, physical_cores
from core.serving.options import LoadOptions
from core.serving.tunings import Tunings
from core.serving.wire import Message

log = logging.getLogger(__name__)

EXAM_CONTEXT, EXAM_SLOTS = 2_048, 4
KINDS = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K")


class Work:
    """Work that a process of its own does; ends with it, or with `stop`."""

    def __init__(self, op: str, fields: dict[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[Message | None] = asyncio.Queue()
        self._child = Child(MODULE, hear=self._tell, ended=lambda: self._tell(None))
        self._asked: Future[Reply] = self._child.ask(op, **fields)
        self._asked.add_done_callback(lambda _: self._tell(None))

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """What it says on its way, `phase` and `share`; at last the `result`. Raises what it failed with."""
        try:
            while (message := await self._news.get()) is not None:
                yield message
            yield {"result": self._result()}
        finally:
            self._child.kill()

    def _result(self) -> dict[str, Any]:
        try:
            return dict(self._asked.result(5)[0].get("result") or {})
        except ModelUnavailable as error:
            end = self._child.end() or "its process ended"
            raise ModelCrashed(
                f"llama.cpp could not do it: {end}. The model may need more memory than is free."
            ) from error

    def _tell(self, message: Message | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.put_nowait, message)


class Workshop:
    """Begins such work on models of the store."""

    def __init__(self, store: Path, options: LoadOptions, tunings: Tunings) -> None:
        self._store, self._options, self._tunings = store, options, tunings

    async def examine(self, model_id: str) -> Work:
        """Load a model for this alone and examine it. Raises NotFound, ModelMissing, ModelCorrupt, TooLarge."""
        return Work("examine", await run_in_threadpool(self._examination, model_id))

    async def quantize(self, model_id: str, kind: str, target: str) -> Work:
        """Write `target`, a file name of the store, with the weights of a model in another precision.

        Raises NotFound, ModelMissing, ModelCorrupt, BadQuestion, StorageFull.
        """
        return Work("quantize", await run_in_threadpool(self._rewriting, model_id, kind, target))

    # --- what reads files, for seconds maybe: never on the event loop, where all answers pass ----------------

    def _examination(self, model_id: str) -> dict[str, Any]:
        model, path = self._installed(model_id)
        wanted = replace(self._options, context_tokens=EXAM_CONTEXT, slots=EXAM_SLOTS, state_folder="")
        options = fitted(path, model.id, wanted)
        return {
            "model": model.id,
            "path": str(path),
            "options": options.plain(),
            "tuning": self._tunings.find(identity(path, model.sha256), options),
        }

    def _rewriting(self, model_id: str, kind: str, target: str) -> dict[str, Any]:
        model, path = self._installed(model_id)
        if kind not in KINDS:
            raise BadQuestion(f"There is no precision {kind[:40]!r}. Known are {', '.join(KINDS)}.")
        if Path(target).name != target or not target.endswith(".quantized"):
            raise BadQuestion("The file of a smaller model has a plain name that ends with .quantized.")
        size = read_gguf(path).bytes
        if free_space(self._store) < size:
            raise StorageFull(
                f"A smaller file of {model.title} needs up to {size / 1e9:.1f} GB of disk. Free some space."
            )
        return {"source": str(path), "target": str(self._store / target), "kind": kind, "threads": physical_cores()}

    def _installed(self, model_id: str) -> tuple[CatalogModel, Path]:
        model = find_model(model_id, self._store)
        if model.role != "chat":
            raise BadQuestion(f"{model.title} is no chat model.")
        return model, installed_path(model, self._store)


async def events(work: Work) -> AsyncIterator[dict[str, Any]]:
    """The same with an error as the last event instead of an exception."""
    try:
        async for message in work.follow():
            yield message
    except GroundworkError as error:
        yield {"error": {"code": error.code, "message": str(error)}}
