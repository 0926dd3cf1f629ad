"""The state of system prompts on disk, so that the first question after a start need not wait for them to be read."""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.serving.native.llama import State

log = logging.getLogger(__name__)

KEPT = 16  # files: the newest; a published prompt or another model makes a new one
ABANDONED = 600.0  # seconds after which an unfinished file belongs to a process that was killed: writing takes a few
_MAGIC = b"GWSTATE1"
_SUFFIX = ".state"


class StateFiles:
    """Files named by the hash of all that the state depends on, each with a hash of its content."""

    def __init__(self, folder: Path, identity: str) -> None:
        """`identity` stands for the model, its settings and the version of llama.cpp."""
        self._folder, self._identity = folder, identity
        for draft in folder.glob(f"*{_SUFFIX}.*.tmp"):
            try:
                if draft.stat().st_mtime < time.time() - ABANDONED:
                    draft.unlink()
            except OSError as error:
                log.debug("%s is left: %s", draft.name, error)

    def has(self, tokens: Sequence[int]) -> bool:
        """Whether there is a file for these tokens."""
        return self._path(tokens).exists()

    def read(self, tokens: Sequence[int]) -> State | None:
        """The state of these tokens; None if it is not there or not whole."""
        path = self._path(tokens)
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        body = memoryview(raw)[len(_MAGIC) + 32 :]
        if raw[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != raw[len(_MAGIC) : len(_MAGIC) + 32]:
            log.warning("%s is damaged and is not used", path.name)
            path.unlink(missing_ok=True)
            return None
        try:
            os.utime(path)  # it is the newest again
        except OSError:
            log.debug("%s cannot be touched", path.name)
        return np.frombuffer(body, np.uint8)

    def write(self, tokens: Sequence[int], state: State) -> None:
        """Keep a state, if the disk lets us: it is only a matter of speed."""
        path = self._path(tokens)
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(_MAGIC + hashlib.sha256(state.data).digest())
                file.write(state.data)
            draft.replace(path)
            self._thin_out()
        except OSError as error:
            log.warning("the state of a system prompt cannot be kept: %s", error)
            draft.unlink(missing_ok=True)

    def _path(self, tokens: Sequence[int]) -> Path:
        made = hashlib.sha256(self._identity.encode())
        made.update(struct.pack(f"<{len(tokens)}i", *tokens))
        return self._folder / f"{made.hexdigest()}{_SUFFIX}"

    def _thin_out(self) -> None:
        found = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in found[KEPT:]:
            path.unlink(missing_ok=True)
