"""Questions that somebody uploads: a queries.jsonl, or a zip of a dataset. Hostile until it is read."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from core.errors import BadDataset
from core.evaluation.dataset import Dataset, load_dataset
from core.names import clean_name

QUERIES, PARTS = "queries.jsonl", ("queries.jsonl", "corpus.jsonl", "qrels.tsv", "meta.json")
MOST_MEMBERS = 1_000
MOST_BYTES = 256 << 20  # unpacked, all parts together


def dataset_of(name: str, content: bytes, *, own: bool) -> Dataset:
    """The dataset in an upload; with `own` its questions are for somebody's own documents. Raises BadDataset."""
    name = clean_name(name)
    parts = _unpacked(name, content) if content[:4] == b"PK\x03\x04" else {QUERIES: content}
    if QUERIES not in parts:
        raise BadDataset(f"{name} holds no {QUERIES}. Put one into it, with a question in each line.")
    with tempfile.TemporaryDirectory(prefix="groundwork-questions-") as folder:
        for part, body in parts.items():
            (Path(folder) / part).write_bytes(body)
        dataset = load_dataset(Path(folder), own=own)
    named = "meta.json" in parts and dataset.name != Path(folder).name
    return dataset if named else replace(dataset, name=PurePosixPath(name).stem or name)


def _unpacked(name: str, content: bytes) -> Mapping[str, bytes]:
    """The parts of a dataset in a zip, wherever they lie in it; their own names never become paths."""
    parts: dict[str, bytes] = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            members = package.infolist()
            if len(members) > MOST_MEMBERS:
                raise BadDataset(f"{name} holds more than {MOST_MEMBERS:,} files. Leave only {', '.join(PARTS)} in it.")
            for member in members:
                part = PurePosixPath(member.filename.replace("\\", "/")).name
                if part not in PARTS or part in parts:
                    continue
                with package.open(member) as stream:
                    parts[part] = stream.read(left + 1)
                left -= len(parts[part])
                if left < 0:
                    raise BadDataset(f"{name} holds more than {MOST_BYTES >> 20} MB when it is unpacked.")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadDataset(f"{name} cannot be unpacked: it is damaged, or locked with a password.") from error
    return parts
