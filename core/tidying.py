"""What is tidied up now and then while nobody waits: what crashes and deletions left, old copies of the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.arrivals import Arrivals
from core.batches import Batches
from core.deletions import Deletions
from core.documents import Documents
from core.errors import StorageError
from core.models import importing
from core.retrieval.serving_index import ServingIndex
from core.storage.db import Database
from core.storage.migrations import copies, drafts
from core.storage.tables import PreferenceRow, now

log = logging.getLogger(__name__)

ABANDONED = 600.0  # seconds after which an unfinished upload belongs to nobody
DRAFTS_KEPT = 86_400.0  # seconds that nothing was written to an unfinished model: hashing the largest takes minutes
COPIES_KEPT = timedelta(days=7)  # after the first round in which a new version works
GOOD = "good_since:{name}"  # the preference that remembers when that was


def patiently(step: Callable[[], object]) -> None:
    """Do something that is done again later, or another time: its failure ends nothing else."""
    try:
        step()
    except StorageError as error:
        log.warning("tidying up waits: %s", error)
    except Exception:  # the edge of a background job: other steps and later rounds go on
        log.exception("a step of tidying up failed")


class Tidying:
    """Its rounds are called every few minutes by the thread that tends the application."""

    def __init__(
        self, db: Database, documents: Documents, batches: Batches, arrivals: Arrivals, deletions: Deletions,
        index: ServingIndex, *, model_store: Path,
    ) -> None:  # fmt: skip
        self.db = db
        self.documents = documents
        self.batches = batches
        self.arrivals = arrivals
        self.deletions = deletions
        self.index = index
        self.model_store = model_store

    def round(self) -> None:
        """Do every step; what fails keeps no other step from being done, and is tried again in the next round."""
        for step in (
            self._files,
            self._batches,
            self._models,
            self.forget_copies,
            self.deletions.settle,
            self.index.save,
        ):
            patiently(step)

    def forget_copies(self) -> None:
        """Remove the copies that upgrades have made of the database, some days after the new version first worked.

        They hold what was deleted since: see core/deletions.py.
        """
        for draft in drafts(self.db.path):
            if draft.stat().st_mtime < time.time() - ABANDONED:  # an upgrade that was killed
                draft.unlink(missing_ok=True)
        for copy in copies(self.db.path):
            name = GOOD.format(name=copy.name)
            with self.db.write() as session:
                since = session.get(PreferenceRow, name)
                if since is None:
                    session.add(PreferenceRow(name=name, value=now().isoformat()))
                elif datetime.fromisoformat(since.value) < now() - COPIES_KEPT:
                    copy.unlink(missing_ok=True)
                    session.delete(since)

    def _files(self) -> None:
        self.documents.sweep(older_than=time.time() - ABANDONED)

    def _models(self) -> None:
        importing.sweep(self.model_store, older_than=time.time() - DRAFTS_KEPT)

    def _batches(self) -> None:
        silent_since = datetime.now(UTC) - timedelta(seconds=ABANDONED)
        self.batches.stop_waiting(silent_since=silent_since, but=self.arrivals.in_hand())
