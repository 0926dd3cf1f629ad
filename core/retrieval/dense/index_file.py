"""The index on disk: magic | generation | SHA-256 of generation and data | data. Complete or not at all, never pickle.

Both ways go block by block, so an index is in memory once. It is read twice, first to hash it: FAISS sees no byte of
a file that is not whole.
"""

from __future__ import annotations

import hashlib
import logging
import os
import struct
from pathlib import Path

from core.retrieval.dense.near import BLOCK, NearIndex, load

log = logging.getLogger(__name__)

MAGIC = b"GWINDEX2"
HEADER = len(MAGIC) + 8 + 32


def write(index: NearIndex, generation: int, path: Path) -> None:
    """Store the index under its name in one step. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = struct.pack("<q", generation)
    seal = hashlib.sha256(stamp)
    for left in path.parent.glob(f"{path.name}.tmp.*"):  # by a process that was killed
        left.unlink(missing_ok=True)
    draft = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(bytes(HEADER))

            def pass_on(block: bytes) -> int:
                seal.update(block)
                return file.write(block)

            index.write(pass_on)
            file.seek(0)
            file.write(MAGIC + stamp + seal.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> tuple[NearIndex | None, int]:
    """The stored index and its generation; None and -1 when there is none or it is not whole."""
    try:
        return _read(path)
    except FileNotFoundError:
        return None, -1
    except OSError as error:
        log.warning("the index file cannot be read, and is rebuilt from the database: %s", error)
        return None, -1


def _read(path: Path) -> tuple[NearIndex | None, int]:
    with path.open("rb") as file:
        head = file.read(HEADER)
        stamp, seal = head[8:16], hashlib.sha256(head[8:16])
        while block := file.read(BLOCK):
            seal.update(block)
        if len(head) < HEADER or head[:8] != MAGIC or seal.digest() != head[16:]:
            log.warning("the index file is damaged or of another version, and is rebuilt from the database")
            return None, -1
        file.seek(HEADER)
        try:
            index = load(file)
        except RuntimeError as error:  # whole, but not an index: somebody else wrote it
            log.warning("the index file cannot be read, and is rebuilt from the database: %s", error)
            return None, -1
    return index, int(struct.unpack("<q", stamp)[0]) if index else -1
