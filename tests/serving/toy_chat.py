"""`python -m tests.serving.toy_chat`: a process in the place of a chat model, on the real wire, with no model in it.

It says one word of what it began and then holds; prompts decide what goes wrong. `<file>.refuses` holds how often
loading the file still fails, `<file>.dies` how often it still ends the process; with `<file>.hangs` it never ends, with
`<file>.breaks` it fails as broken libraries do.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.serving.office import Office
from core.serving.wire import Message

SLOW = 0.5  # seconds for preparing a prompt that says "slowly"
PACE = {"reading": 0.001, "writing": 0.01, "state_bytes": 0}


class Desk:
    def __init__(self, office: Office) -> None:
        self._office = office
        self._prepared: set[int] = set()

    def load(self, message: Message, _payload: bytes) -> dict[str, Any]:
        path = message["path"]
        if still(Path(f"{path}.refuses")):
            raise ModelError("There is no memory for it.")
        if still(Path(f"{path}.dies")):
            os._exit(9)
        if Path(f"{path}.hangs").exists():
            threading.Event().wait()
        if Path(f"{path}.breaks").exists():
            raise ImportError("libsomething.so: undefined symbol")
        return {"context_tokens": 512, "cells": 512}

    def prepare(self, message: Message, _payload: bytes) -> dict[str, Any]:
        if "slowly" in message["messages"][-1][1]:
            time.sleep(SLOW)
        if "die" in message["messages"][-1][1]:
            os._exit(9)
        self._prepared.add(message["id"])
        return {"tokens": 3}

    def begin(self, message: Message, _payload: bytes) -> None:
        self._prepared.discard(message["id"])
        news = [["start", message["id"], 0], ["read", message["id"], 3, 0], ["text", message["id"], 7, "Well", None]]
        self._office.tell({"news": news, "pace": PACE})

    def drop(self, message: Message, _payload: bytes) -> None:
        """Forget what is prepared; of what is begun nothing is ever said again, as by a process that is about to die."""
        self._prepared.discard(message["id"])

    def tokenize(self, _message: Message, _payload: bytes) -> dict[str, Any]:
        """The numbers of the requests that are prepared, as the tokens of a text."""
        return {"tokens": [sorted(self._prepared)]}

    def measure(self, _message: Message, _payload: bytes) -> dict[str, Any]:
        return {"tuning": None}

    def ignore(self, _message: Message, _payload: bytes) -> dict[str, Any]:
        return {}


def still(counter: Path) -> bool:
    """Whether the number in the file is not 0 yet, which it is then one nearer to."""
    left = int(counter.read_text()) if counter.exists() else 0
    if left:
        counter.write_text(str(left - 1))
    return left > 0


def main() -> None:
    office = Office()
    desk = Desk(office)
    known = {name: getattr(desk, name) for name in ("load", "prepare", "begin", "drop", "tokenize", "measure")}
    office.serve(known | dict.fromkeys(("pause", "resume", "crowd"), desk.ignore))


if __name__ == "__main__":
    main()
