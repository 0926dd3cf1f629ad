"""`python -m core.serving.vectors`: one embedding model in a process of its own."""

from __future__ import annotations

import gc
import logging
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from core.errors import ModelUnavailable
from core.serving.office import Office, stand_back
from core.serving.vectors.torch_form import TorchForm
from core.serving.wire import Message


class Desk:
    """What the server can ask of this process."""

    def __init__(self) -> None:
        self._model: TorchForm | None = None

    def load(self, message: Message, _payload: bytes) -> dict[str, Any]:
        gc.disable()  # looking through torch's half million objects costs a second and more while they are loaded
        self._model = TorchForm(message["model"], Path(message["folder"]))
        gc.freeze()
        gc.enable()
        return {"dimension": self._model.dimension, "max_tokens": self._model.max_tokens, "form": "torch-float32"}

    def encode(self, message: Message, _payload: bytes) -> tuple[dict[str, Any], bytes]:
        if self._model is None:
            raise ModelUnavailable("The embedding model is still loading. Try again soon.")
        vectors, tokens = self._model.encode(message["texts"], threads=message["threads"])
        return {"tokens": tokens}, np.ascontiguousarray(vectors, np.float32).tobytes()


def main() -> NoReturn:
    level = logging.INFO
    logging.basicConfig(level=level, format=f"%(asctime)s %(levelname)s [{os.getpid()}] %(name)s: %(message)s")
    office = Office()
    stand_back()
    desk = Desk()
    office.serve({"load": desk.load, "encode": desk.encode})


if __name__ == "__main__":
    main()
