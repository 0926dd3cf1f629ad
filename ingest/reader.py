"""Both ends of the line between the ingest worker and the child that reads a file.

An answer is one line of JSON and then the text in UTF-8. The child has read hostile bytes, so what it says is
checked like any other input.
"""

from __future__ import annotations

import errno
import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from core.errors import BadUpload, GroundworkError, from_code
from core.types import Document, Heading, Page, Table
from ingest.loaders import load

MEMORY = "memory"
CRASH = "crash"
TOO_LONG = "too_long"
FULL = "full"


class BadAnswer(Exception):
    """The answer of the child is not one; `reason` is for the log."""


def read(path: str, name: str, answer: IO[bytes]) -> None:
    """Read the file and write the answer. In the child."""
    try:
        document = load(Path(path), name)
        _write(answer, asdict(document) | {"text": None}, document.text)
    except BadUpload as error:
        _write(answer, {"error": error.code, "message": str(error)})
    except (MemoryError, RecursionError):
        _write(answer, {"error": MEMORY})
    except OSError as error:
        _write(answer, {"error": {errno.EFBIG: TOO_LONG, errno.ENOSPC: FULL}.get(error.errno or 0, CRASH)})
        _log(error)
