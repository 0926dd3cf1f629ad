"""`python -m core.serving.vectors.workshop`: converts or measures an embedding model for the process that started it.

The first line on stdin says what is wanted, and its end is the end of that process, and of this one. What there is to
tell goes to stdout, a JSON object on each line; whatever libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import GroundworkError
from core.serving.vectors.conversion import convert
from core.serving.vectors.forms import PLAIN, Form
from core.serving.vectors.measuring import measure
from core.serving.vectors.torch_model import TorchModel

Tell = Callable[[dict[str, Any]], None]


def main() -> None:
    tell = _channel()
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_follow_parent, name="parent-watch", daemon=True).start()
    model_id, folder, work = request["model"], Path(request["folder"]), Path(request["work"])
    forms = [Form.parse(name) for name in request["forms"]]
    try:
        if request["task"] == "convert":
            convert(TorchModel(model_id, folder, PLAIN, threads=1), model_id, folder, forms, work=work)
        else:
            measure(model_id, folder, forms, work=work, threads=request["threads"], tell=tell)
    except GroundworkError as error:
        tell({"error": error.code, "message": str(error)})


def _channel() -> Tell:
    news = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(value: dict[str, Any]) -> None:
        news.write(json.dumps(value) + "\n")
        news.flush()

    return tell


def _follow_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
