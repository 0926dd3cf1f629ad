"""What an answer is attributed to: prompt version, model and settings, stored once under the hash of them all."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import select

from core.settings import VERSION
from core.storage.db import Database
from core.storage.tables import PipelineRow


class Pipelines:
    """Immutable configurations; the same one is never stored twice."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._known: dict[str, str] = {}

    def identify(
        self,
        *,
        prompt_version_id: str,
        model: str,
        model_sha256: str,
        embedder: str,
        retrieval: dict[str, Any],
        sampling: dict[str, Any],
        endpoint: str = "",
    ) -> str:
        """The id of this configuration; it is stored when it is new. `endpoint` is the address of another service."""
        config = {
            "prompt_version_id": prompt_version_id,
            "model": model,
            "model_sha256": model_sha256,
            "embedder": embedder,
            "retrieval": retrieval,
            "sampling": sampling,
            "code_version": VERSION,
        }
        if endpoint:  # the hash of all others stays what it was
            config["endpoint"] = endpoint
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        if digest not in self._known:
            with self.db.write() as session:
                row = session.scalar(select(PipelineRow).where(PipelineRow.config_hash == digest))
                if row is None:
                    row = PipelineRow(config_hash=digest, **config)
                    session.add(row)
                    session.flush()
                self._known[digest] = row.id
        return self._known[digest]
