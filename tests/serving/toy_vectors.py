"""`python -m tests.serving.toy_vectors`: a process in the place of an embedding model, on the real wire.

Texts decide what goes wrong: "hang" never ends, "die" ends the process. The score of a passage is its length. The
folder of a reranker says the same by a file of that name in it. Every load is a line more in `loads` of the folder for
work, where a file `hangs` lets it never end and `dies` says how often it still ends the process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelCorrupt
from core.serving.office import Office
from core.serving.wire import Message
from tests.serving.toy_chat import still

DIMENSION = 2


class Desk:
    def load(self, message: Message, _payload: bytes) -> dict[str, Any]:
        work = Path(message["work"])
        with (work / "loads").open("a") as loads:
            loads.write(f"{message['model']}\n")
        if still(work / "dies"):
            os._exit(9)
        if (work / "hangs").exists():
            threading.Event().wait()
        return {"dimension": DIMENSION, "max_tokens": 8, "form": "toy"}

    def encode(self, message: Message, _payload: bytes) -> tuple[dict[str, Any], bytes]:
        _obey(message["texts"])
        vectors = np.tile(np.array([1, 0], "<f4"), (len(message["texts"]), 1))
        return {"tokens": [1] * len(message["texts"])}, vectors.tobytes()

    def load_reranker(self, message: Message, _payload: bytes) -> dict[str, Any]:
        names = [path.name for path in Path(message["folder"]).iterdir()]
        _obey(names)
        if "damaged" in names:
            raise ModelCorrupt("The reranker is damaged. Put its folder into the model store again.")
        return {"max_tokens": 8}

    def rerank(self, message: Message, _payload: bytes) -> tuple[dict[str, Any], bytes]:
        _obey(message["passages"])
        return {}, np.array([len(passage) for passage in message["passages"]], "<f4").tobytes()


def _obey(words: Sequence[str]) -> None:
    if "hang" in words:
        threading.Event().wait()
    if "die" in words:
        os._exit(9)


def main() -> None:
    desk = Desk()
    Office().serve({name: getattr(desk, name) for name in ("load", "encode", "load_reranker", "rerank")})


if __name__ == "__main__":
    main()
