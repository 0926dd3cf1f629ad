"""`python -m core.serving.native`: one chat model in a process of its own, which may crash without harm to others."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import llama_cpp

from core.errors import ModelUnavailable
from core.models.exam import exam
from core.serving.native.batching import Batcher
from core.serving.native.chat_model import ChatModel
from core.serving.native.drafting import Drafting
from core.serving.native.examine import PIECE, Examiner
from core.serving.native.prefixes import Prefixes
from core.serving.native.quantize import quantize
from core.serving.native.state_files import StateFiles
from core.serving.native.tuning import Tuning
from core.serving.native.worker import Worker
from core.serving.office import Office, stand_back
from core.serving.options import LoadOptions
from core.serving.wire import Message
from core.types import ChatMessage

M_MMAP_THRESHOLD = -3  # malloc.h of glibc
LARGE = 1 << 20  # bytes of a block that goes back as soon as it is free
PROGRESS_STEP = 0.05  # of the file, between two words about it


class Desk:
    """What the server can ask of this process."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._worker: Worker | None = None

    def load(self, message: Message, _payload: bytes) -> dict[str, Any]:
        """Load the model and begin to work, tuned as was found best before."""
        options = LoadOptions.of(message["options"])
        # OpenMP keeps helpers for every thread that ever computed, as long as it lives, and when there are more of them
        # than cores, all go to sleep at every barrier: 42 ms a token instead of 30. So who warms up ends.
        with ThreadPoolExecutor(1, "loader") as loader:
            path, loading = Path(message["path"]), self._loading()
            chat = loader.submit(ChatModel.load, message["model"], path, options, loading=loading).result()
        files = StateFiles(Path(options.state_folder), identity_of(message)) if options.state_folder else None
        prefixes = Prefixes(chat.context, budget=options.prefix_mb << 20, files=files)
        batcher = Batcher(chat, prefixes=prefixes, drafting=Drafting())
        self._worker = Worker(chat, batcher, self._office.tell)
        if message["tuning"]:
            self._worker.tune(Tuning.of(message["tuning"]))
        gc.freeze()
        return {"context_tokens": chat.context_tokens, "cells": chat.context.cells}

    def measure(self, message: Message, _payload: bytes) -> dict[str, Any]:
        """Measure this machine while nobody waits, and work accordingly; empty if that was not to be had."""
        worker = self._ready()
        if tuning := worker.measure(message["threads"]):
            worker.tune(tuning)
        return {"tuning": tuning.plain() if tuning else None}

    def prepare(self, message: Message, _payload: bytes) -> dict[str, Any]:
        return self._ready().prepare(message)

    def begin(self, message: Message, _payload: bytes) -> None:
        self._ready().begin(message)

    def crowd(self, message: Message, _payload: bytes) -> None:
        self._ready().crowd(message)

    def drop(self, message: Message, _payload: bytes) -> None:
        self._ready().drop(message)

    def pause(self, _message: Message, _payload: bytes) -> None:
        self._ready().pause()

    def resume(self, _message: Message, _payload: bytes) -> None:
        self._ready().resume()

    def tokenize(self, message: Message, _payload: bytes) -> dict[str, Any]:
        """Tokens of texts, or only their counts; or those of a whole prompt and of its system prompt."""
        chat = self._ready().chat
        if message.get("messages") is not None:
            messages = [ChatMessage(role, content) for role, content in message["messages"]]
            prompt = chat.prompt(messages)
            return {"count": len(prompt.tokens), "system": prompt.system}
        if message.get("counted") is not None:
            return {"counts": [chat.model.count(text) for text in message["counted"]]}
        return {"tokens": [chat.model.tokenize(text) for text in message["texts"]]}

    def examine(self, message: Message, _payload: bytes) -> dict[str, Any]:
        """Load a model for this alone, and say how fast and how good it is."""
        options = LoadOptions.of(message["options"])
        chat = ChatModel.load(message["model"], Path(message["path"]), options, outputs=PIECE)
        if message["tuning"]:
            tuning = Tuning.of(message["tuning"])
            chat.context.use_threads(tuning.writing_threads, tuning.reading_threads)
        return {"result": Examiner(chat, exam(), self._progress).run()}

    def quantize(self, message: Message, _payload: bytes) -> None:
        """Make a smaller file."""
        source, target = Path(message["source"]), Path(message["target"])
        quantize(source, target, message["kind"], threads=message["threads"], hear=partial(self._progress, ""))

    def _progress(self, phase: str, share: float) -> None:
        self._office.tell({"phase": phase, "share": share})

    def _ready(self) -> Worker:
        if self._worker is None:
            raise ModelUnavailable("The chat model is still loading. Try again in a few seconds.")
        return self._worker

    def _loading(self) -> Any:
        told = -1.0

        def tell(share: float) -> None:
            nonlocal told
            if share - told >= PROGRESS_STEP:
                told = share
                self._office.tell({"loading": share})

        return tell


def identity_of(message: Message) -> str:
    """All that the state of a prompt depends on, besides its tokens."""
    options = message["options"]
    settings = [options[name] for name in ("cache_type_k", "cache_type_v", "lora", "rope_scaling", "rope_factor")]
    adapters = [Path(file).stat() for file, _ in options["lora"]]  # another file may take the place of one
    stamps = [(found.st_size, found.st_mtime_ns) for found in adapters]
    parts = [message["identity"], llama_cpp.__version__, settings, stamps]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def give_back() -> None:
    """Let freed states of prompts go back to the system at once.

    When glibc has seen a large block freed, it keeps blocks of that size in its heap from then on (mallopt(3), dynamic
    threshold), where small ones come to lie between them.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(M_MMAP_THRESHOLD, LARGE)


def main() -> NoReturn:
    level = logging.INFO
    logging.basicConfig(level=level, format=f"%(asctime)s %(levelname)s [{os.getpid()}] %(name)s: %(message)s")
    office = Office()
    give_back()
    stand_back()
    desk = Desk(office)
    names = (
        "load",
        "prepare",
        "begin",
        "crowd",
        "drop",
        "pause",
        "resume",
        "measure",
        "tokenize",
        "examine",
        "quantize",
    )
    office.serve({name: getattr(desk, name) for name in names})


if __name__ == "__main__":
    main()
