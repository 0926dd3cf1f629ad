"""The models of this installation: which are there, which is active, and downloads that run in the background."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import delete, update

from core.errors import Cancelled, Conflict, GroundworkError, NotFound
from core.models.catalog import CatalogModel, find, installed_path, is_installed
from core.models.client import ModelClient
from core.models.endpoint import Endpoint
from core.models.endpoints import ACTIVE as ACTIVE_ENDPOINT
from core.models.endpoints import Endpoints
from core.models.fetch import Progress, fetch, remove
from core.models.local import find_model, known_models, remove_card
from core.models.status import ServerStatus
from core.settings import Settings
from core.storage.db import Database
from core.storage.tables import PreferenceRow

log = logging.getLogger(__name__)

ACTIVE = "chat_model"


@dataclass
class Download:
    """A download that runs, or ended; `error` is a sentence for people."""

    model: CatalogModel
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    phase: str = "starting"
    error: str = ""
    active: bool = True
    cancel: threading.Event = field(default_factory=threading.Event)
    _first: tuple[float, int] | None = None

    def update(self, progress: Progress) -> None:
        self.done, self.total, self.phase = progress.done_bytes, progress.total_bytes, progress.phase
        if self._first is None and self.done:
            self._first = (time.monotonic(), self.done)

    def seconds_left(self) -> float | None:
        """An estimate from what came in since the first byte of this download; None while there is none."""
        if self._first is None or self.done <= self._first[1]:
            return None
        speed = (self.done - self._first[1]) / (time.monotonic() - self._first[0])
        return (self.total - self.done) / speed if speed > 0 else None


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model of the catalog as the Models page shows it."""

    model: CatalogModel
    installed: bool
    active: bool
    download: Download | None
    standing_by: bool = False  # it is active, but another service answers in its place


class Models:
    """Installing, removing and choosing models."""

    def __init__(self, settings: Settings, db: Database, client: ModelClient, endpoints: Endpoints) -> None:
        self.settings = settings
        self.db = db
        self.client = client
        self.endpoints = endpoints
        self._downloads: dict[str, Download] = {}
        self._lock = threading.Lock()

    def active_id(self) -> str:
        """The chat model of this machine that was chosen last; at first the one of the settings."""
        with self.db.read() as session:
            row = session.get(PreferenceRow, ACTIVE)
            return row.value if row else self.settings.chat_model

    def endpoint(self) -> Endpoint | None:
        """The service that answers in the place of the chat model of this machine."""
        return self.endpoints.active()

    def list_models(self) -> list[ModelView]:
        active, elsewhere = {self.active_id(), self.settings.embedding_model}, self.endpoint() is not None
        return [
            ModelView(
                model,
                is_installed(model, self.settings.model_store),
                model.id in active,
                self._downloads.get(model.id),
                standing_by=elsewhere and model.role == "chat" and model.id in active,
            )
            for model in known_models(self.settings.model_store).values()
        ]

    def missing(self) -> list[CatalogModel]:
        """The models that must be there before a question can be answered, and are not."""
        chat = [self._find(self.active_id())] if self.endpoint() is None else []
        wanted = [*chat, find(self.settings.embedding_model)]
        return [model for model in wanted if not is_installed(model, self.settings.model_store)]

    def activate(self, model_id: str) -> None:
        """Answer with this model, and no other service, from now on.

        Raises NotFound, ModelMissing, ModelUnavailable.
        """
        model = self._find(model_id)
        if model.role != "chat":
            raise NotFound(f"{model.title} is not a chat model.")
        installed_path(model, self.settings.model_store)
        if self.client.status().status != "down":  # else it is loaded at the next start of the server
            self.client.load(model.id)
        with self.db.write() as session:
            session.merge(PreferenceRow(name=ACTIVE, value=model.id))
            session.execute(delete(PreferenceRow).where(PreferenceRow.name == ACTIVE_ENDPOINT))

    def settle(self, chosen: str, status: ServerStatus) -> None:
        """Take the model that answers for the chosen one again, if the other one that was chosen could not be loaded.

        `status` was asked for after `chosen`: somebody may choose again meanwhile, and that holds. A service that was
        left for the model is not taken up again, since nobody wanted texts to be sent there any more.
        """
        chat = status.chat
        if chat.status == "ok" and chat.error and not chat.loading and chat.id != chosen:
            log.warning("%s could not be loaded; %s goes on", chosen, chat.id)
            mine = (PreferenceRow.name == ACTIVE, PreferenceRow.value == chosen)
            with self.db.write() as session:
                session.execute(update(PreferenceRow).where(*mine).values(value=chat.id))

    def download(self, model_id: str) -> Download:
        """Start a download, or return the one that runs already."""
        model = self._find(model_id)
        with self._lock:
            running = self._downloads.get(model_id)
            if running and running.active:
                return running
            download = Download(model, total=model.bytes)
            self._downloads[model_id] = download
        threading.Thread(target=self._run, args=(download,), name=f"download-{model_id}", daemon=True).start()
        return download

    def remove(self, model_id: str) -> None:
        """Delete a model's files. Raises Conflict for the models that are in use."""
        chat = self.client.status().chat  # which answers while another one is loaded, or could not be
        if model_id in (self.active_id(), self.settings.embedding_model, chat.id, chat.loading):
            raise Conflict(f"{self._find(model_id).title} is in use. Activate another model first.")
        model = self._find(model_id)
        remove(model, self.settings.model_store)
        if not model.sources:
            remove_card(model_id, self.settings.model_store)
        self._downloads.pop(model_id, None)

    def _find(self, model_id: str) -> CatalogModel:
        return find_model(model_id, self.settings.model_store)

    def close(self) -> None:
        """Stop the downloads; what is there already is kept for the next time."""
        for download in list(self._downloads.values()):
            download.cancel.set()

    def _run(self, download: Download) -> None:
        model = download.model
        try:
            fetch(model, self.settings.model_store, progress=partial(Download.update, download), cancel=download.cancel)
            if model.id in (self.active_id(), self.settings.embedding_model) and self.client.status().status != "down":
                self.client.load(model.id)  # it was missing until now: the server waits for it
        except Cancelled:
            download.error = "Paused. What was downloaded is kept."
        except GroundworkError as problem:
            log.warning("download of %s ended: %s", model.id, problem)
            download.error = str(problem)
        finally:
            download.active = False
