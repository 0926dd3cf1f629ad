"""Work that needs torch, done in a process of its own, whose memory is gone after it and whose crash is not ours."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import ModelBusy, ModelError, from_code
from core.serving.vectors.forms import Form

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]  # core.settings knows it too, at the price of 25 MB for pydantic
LONGEST = 300.0  # seconds; measured: 10 to convert, 30 to measure, on two cores
COMMAND = (sys.executable, "-W", "ignore", "-m", "core.serving.vectors.workshop")


def convert(model_id: str, folder: Path, forms: Sequence[Form], *, work: Path) -> None:
    """Convert a model for OpenVINO in these forms. Raises ModelCorrupt, StorageError and ModelError."""
    log.info("converting %s into %s", model_id, ", ".join(map(str, forms)))
    request = {"task": "convert", "model": model_id, "folder": str(folder), "forms": list(map(str, forms))}
    for news in run({**request, "work": str(work)}):
        if "error" in news:
            raise from_code(news["error"], news["message"])
        if news.get("ended"):
            raise broken(model_id, f"its process ended with code {news['ended']}")


def run(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the process tells, one by one; the last is {"ended": its code}, negative for a signal.

    Raises ModelError when it cannot be started, ModelBusy when it takes too long.
    """
    try:
        process = subprocess.Popen(COMMAND, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise ModelError(f"The process that prepares embedding models cannot be started: {error.strerror}.") from error
    assert process.stdin
    assert process.stdout
    end = time.monotonic() + LONGEST
    clock = threading.Timer(LONGEST, process.kill)
    clock.start()
    try:
        with suppress(BrokenPipeError):  # it has ended already, and its code will tell
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            yield json.loads(line)
        code = process.wait()
        if code and time.monotonic() >= end:
            raise ModelBusy(f"The machine is too busy: preparing the embedding model took longer than {LONGEST:.0f} s.")
        yield {"ended": code}
    finally:
        clock.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()


def broken(model_id: str, reason: str) -> ModelError:
    """The error for a conversion that came to nothing."""
    return ModelError(f"The embedding model {model_id} cannot be converted for OpenVINO: {reason}.")
