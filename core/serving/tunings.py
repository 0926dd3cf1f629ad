"""What was measured of models on this machine, kept so that it is measured only once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.serving.chat_process import ChatProcess
from core.serving.machine import physical_cores, processor, thread_counts
from core.serving.options import LoadOptions

log = logging.getLogger(__name__)

KEPT = 64  # tunings
PAUSE = 5.0  # seconds between two looks whether the machine is quiet
ATTEMPTS = (0.0, 30.0, 120.0, 600.0, 1800.0)  # seconds of rest before each measurement: it may be disturbed


class Tunings:
    """A file of tunings by model, settings and machine. What cannot be read is measured again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, identity: str, options: LoadOptions) -> dict[str, Any] | None:
        """The tuning of a model with these settings on this machine."""
        found = self._read().get(_key(identity, options))
        return found if _sound(found) else None

    def keep(self, identity: str, options: LoadOptions, tuning: Mapping[str, Any]) -> None:
        """Write it down, if the disk lets us."""
        known = self._read()
        key = _key(identity, options)
        if known.get(key) == tuning:
            return
        known.pop(key, None)
        known[key] = dict(tuning)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(dict(list(known.items())[-KEPT:]), indent=1), encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            log.warning("what was measured cannot be kept: %s", error)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


class Tuner:
    """Has a model's process measure the machine as soon as nobody wants anything: never at the cost of a question."""

    def __init__(self, quiet: Callable[[], bool]) -> None:
        self._quiet = quiet

    def tune(self, process: ChatProcess, keep: Callable[[Mapping[str, Any]], None]) -> None:
        """Begin to wait for that moment; `keep` gets what was found."""
        threading.Thread(target=self._wait, args=(process, keep), name="tuner", daemon=True).start()

    def _wait(self, process: ChatProcess, keep: Callable[[Mapping[str, Any]], None]) -> None:
        threads = [process.options.threads] if process.options.threads else thread_counts()
        for rest in ATTEMPTS:
            time.sleep(rest)
            while process.alive and not self._quiet():
                time.sleep(PAUSE)
            time.sleep(PAUSE)
            try:
                found = process.measure(threads) if process.alive else None
            except ModelError as error:
                log.info("the machine was not measured: %s", error)
                return
            if found:
                keep(found)
                log.info("measured for %s: %s", process.id, found)
                return


def _key(identity: str, options: LoadOptions) -> str:
    parts = [identity, processor(), physical_cores(), options.threads, options.gpu_layers]
    return hashlib.sha256(repr([*parts, options.cache_type_k, options.cache_type_v]).encode()).hexdigest()


def _sound(found: object) -> bool:
    if not isinstance(found, dict) or not isinstance(steps := found.get("step_seconds"), dict):
        return False
    threads = [found.get("writing_threads"), found.get("reading_threads")]
    costs = steps.items()
    return all(isinstance(count, int) and 0 < count <= 1024 for count in threads) and all(
        str(size).isdigit() and isinstance(cost, int | float) and cost > 0 for size, cost in costs
    )
