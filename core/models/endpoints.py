"""Other model services: what is known of each, which one answers, and trying one out."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import SecretStr
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.errors import BadEndpoint, Conflict, GroundworkError, KeyRefused, NotFound
from core.guard import visible
from core.models.remote.address import destination, host_of, origin_of, refuse_open_line, tidy
from core.models.remote.attempt import PATIENCE, Patience
from core.models.remote.client import RemoteClient, Service
from core.models.remote.habits import Habits
from core.models.remote.offer import OfferedModel
from core.models.secrets import KeyVault
from core.storage.db import Database
from core.storage.tables import EndpointRow, PreferenceRow
from core.types import ChatMessage, GenerationOptions

log = logging.getLogger(__name__)

ACTIVE = "chat_endpoint"
LONGEST_NAME, LONGEST_MODEL, LONGEST_KEY = 100, 200, 4000
SMALLEST_CONTEXT, LARGEST_CONTEXT = 512, 10_000_000
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
TRIAL = (ChatMessage("user", "Answer with the one word: ready"),)
TRIAL_OPTIONS = GenerationOptions(max_tokens=256)  # models that think before they answer need some


class KeyKind(StrEnum):
    """Where the key of a service is."""

    none = "none"
    stored = "stored"  # encrypted in the database
    variable = "variable"  # in the environment


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model service that speaks the OpenAI protocol. The key itself is never part of this."""

    id: str
    name: str
    url: str
    model: str
    context_tokens: int
    key_kind: KeyKind
    key_variable: str
    habits: Habits

    @property
    def host(self) -> str:
        return host_of(self.url)

    @property
    def destination(self) -> str:
        """Where questions go while this one answers, in plain words."""
        return destination(self.url)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person typed about a service. With `stored` and no `key` the key that is stored already is kept."""

    name: str
    url: str
    model: str
    context_tokens: int
    key_kind: KeyKind = KeyKind.none
    key: SecretStr | None = None
    key_variable: str = ""


@dataclass
class Trial:
    """A tiny request that runs, or has ended; `sentence` is for people."""

    began: float = field(default_factory=time.monotonic)
    active: bool = True
    answered: bool = False
    sentence: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)


class Endpoints:
    """The book of services, in SQL. Keys are sealed before they come near the database."""

    def __init__(self, db: Database, vault: KeyVault, *, patience: Patience = PATIENCE) -> None:
        self.db = db
        self.vault = vault
        self.patience = patience
        self._trials: dict[str, Trial] = {}

    def list_endpoints(self) -> list[Endpoint]:
        """All services by name."""
        with self.db.read() as session:
            return [_endpoint(row) for row in session.scalars(select(EndpointRow).order_by(EndpointRow.name))]

    def active(self) -> Endpoint | None:
        """The service that answers now; None while a model of this machine does."""
        chosen = select(PreferenceRow.value).where(PreferenceRow.name == ACTIVE).scalar_subquery()
        with self.db.read() as session:
            row = session.scalar(select(EndpointRow).where(EndpointRow.id == chosen))
            return _endpoint(row) if row else None

    def add(self, draft: Draft) -> Endpoint:
        """Raises BadEndpoint, Conflict when the name is taken, StorageError."""
        draft = self._checked(draft)
        row = EndpointRow(habits={}, key_sealed=self._seal(draft))
        _write(row, draft)
        with self.db.write() as session:
            _require_free(session, draft.name, "")
            session.add(row)
            session.flush()
            return _endpoint(row)

    def change(self, endpoint_id: str, draft: Draft) -> Endpoint:
        """Raises BadEndpoint, also when the stored key would go to another host; Conflict, NotFound, StorageError."""
        draft, sealed = self._checked(draft), self._seal(draft)
        with self.db.write() as session:
            row = _row(session, endpoint_id)
            _require_free(session, draft.name, endpoint_id)
            if draft.key_kind is KeyKind.stored and not sealed:
                sealed = row.key_sealed
                if not sealed or origin_of(row.url) != origin_of(draft.url):
                    raise BadEndpoint(
                        f"Type the key of {host_of(draft.url)}: a key stays with the host it was given to."
                    )
            if (row.url, row.model) != (draft.url, draft.model):
                row.habits = {}
            row.key_sealed = sealed
            _write(row, draft)
            changed = _endpoint(row)
        self._forget_trial(endpoint_id)
        return changed

    def remove(self, endpoint_id: str) -> None:
        """Forget a service and its key. When it was answering, the model of this machine answers again."""
        with self.db.write() as session:
            session.delete(_row(session, endpoint_id))
            session.execute(
                delete(PreferenceRow).where(PreferenceRow.name == ACTIVE, PreferenceRow.value == endpoint_id)
            )
        self._forget_trial(endpoint_id)

    def activate(self, endpoint_id: str) -> None:
        """Answer with this service from now on. Raises NotFound, KeyRefused when its key cannot be had."""
        self._service(endpoint_id)
        with self.db.write() as session:
            _row(session, endpoint_id)
            session.merge(PreferenceRow(name=ACTIVE, value=endpoint_id))

    def client(self, endpoint_id: str) -> RemoteClient:
        """Raises NotFound, KeyRefused when its key cannot be had."""

        def learned(habits: Habits) -> None:
            self._remember(endpoint_id, habits)

        return RemoteClient(self._service(endpoint_id), patience=self.patience, learned=learned)

    def offered(self, draft: Draft, endpoint_id: str = "") -> Sequence[OfferedModel]:
        """The models that the service of a draft lists. Raises BadEndpoint, ModelError where it has no list."""
        url, key = tidy(draft.url), draft.key
        if draft.key_kind is KeyKind.variable:
            key = _from_environment(draft.key_variable, host_of(url))
        elif draft.key_kind is KeyKind.stored and key is None and endpoint_id:
            stored = self._service(endpoint_id)
            key = stored.key if origin_of(stored.url) == origin_of(url) else None
        if key is not None:
            refuse_open_line(url)
        return RemoteClient(Service(url, key=key), patience=self.patience).list_models(threading.Event())

    def trial(self, endpoint_id: str) -> Trial | None:
        """The trial that runs, or the last one since the start."""
        return self._trials.get(endpoint_id)

    def start_trial(self, endpoint_id: str) -> Trial:
        """Ask the service for one word, in the background."""
        running = self._trials.get(endpoint_id)
        if running and running.active:
            return running
        trial = self._trials[endpoint_id] = Trial()
        threading.Thread(target=self._try, args=(endpoint_id, trial), name="endpoint-trial", daemon=True).start()
        return trial

    def close(self) -> None:
        """Stop the trials."""
        for trial in list(self._trials.values()):
            trial.cancel.set()

    def _forget_trial(self, endpoint_id: str) -> None:
        if trial := self._trials.pop(endpoint_id, None):
            trial.cancel.set()

    def _try(self, endpoint_id: str, trial: Trial) -> None:
        try:
            client = self.client(endpoint_id)
            said = "".join(chunk.text for chunk in client.chat(TRIAL, TRIAL_OPTIONS, trial.cancel))
            seconds = time.monotonic() - trial.began
            word = " ".join(visible(said).split())[:40]
            trial.sentence = f"{client.service.model} answered “{word}” after {seconds:.1f} s."
            trial.answered = True
        except GroundworkError as problem:
            trial.sentence = str(problem)
        finally:
            trial.active = False

    def _service(self, endpoint_id: str) -> Service:
        with self.db.read() as session:
            row = _row(session, endpoint_id)
        endpoint = _endpoint(row)
        key = None
        if endpoint.key_kind is KeyKind.stored:
            key = self.vault.open(row.key_sealed, owner=endpoint.name)
        elif endpoint.key_kind is KeyKind.variable:
            key = _from_environment(endpoint.key_variable, endpoint.name)
        return Service(endpoint.url, endpoint.model, endpoint.context_tokens, key, endpoint.habits)

    def _remember(self, endpoint_id: str, habits: Habits) -> None:
        try:
            with self.db.write() as session:
                _row(session, endpoint_id).habits = habits.as_dict()
        except GroundworkError as problem:  # it is learned again next time
            log.warning("what the service %s wants could not be stored: %s", endpoint_id, problem)

    def _checked(self, draft: Draft) -> Draft:
        name, model = " ".join(visible(draft.name).split()), visible(draft.model).strip()
        url, variable = tidy(draft.url), draft.key_variable.strip()
        if not name or len(name) > LONGEST_NAME:
            raise BadEndpoint(f"Give the service a name of at most {LONGEST_NAME} characters.")
        if not model or len(model) > LONGEST_MODEL:
            raise BadEndpoint("Name the model as the service calls it, or choose one of its list.")
        if not SMALLEST_CONTEXT <= draft.context_tokens <= LARGEST_CONTEXT:
            raise BadEndpoint(f"The context length must be {SMALLEST_CONTEXT:,} tokens or more.")
        if draft.key_kind is KeyKind.variable and not VARIABLE.fullmatch(variable):
            raise BadEndpoint("Name the environment variable: letters, digits and underscores.")
        if draft.key is not None and not _sendable(draft.key.get_secret_value()):
            raise BadEndpoint("The key has blanks or characters that no key has. Copy it once more.")
        if draft.key_kind is not KeyKind.none:
            refuse_open_line(url)
        return Draft(name, url, model, draft.context_tokens, draft.key_kind, draft.key, variable)

    def _seal(self, draft: Draft) -> str:
        return self.vault.seal(draft.key) if draft.key_kind is KeyKind.stored and draft.key else ""


def _write(row: EndpointRow, draft: Draft) -> None:
    row.name, row.url, row.model, row.context_tokens = draft.name, draft.url, draft.model, draft.context_tokens
    row.key_variable = draft.key_variable if draft.key_kind is KeyKind.variable else ""
    if draft.key_kind is not KeyKind.stored:
        row.key_sealed = ""
    elif not row.key_sealed:
        raise BadEndpoint(f"Type the key of {host_of(draft.url)}, or choose that it needs none.")


def _endpoint(row: EndpointRow) -> Endpoint:
    kind = KeyKind.stored if row.key_sealed else KeyKind.variable if row.key_variable else KeyKind.none
    habits = Habits.from_dict(row.habits)
    return Endpoint(row.id, row.name, row.url, row.model, row.context_tokens, kind, row.key_variable, habits)


def _row(session: Session, endpoint_id: str) -> EndpointRow:
    row = session.get(EndpointRow, endpoint_id)
    if row is None:
        raise NotFound("This model service was removed.")
    return row


def _require_free(session: Session, name: str, own_id: str) -> None:
    taken = session.scalar(select(EndpointRow.id).where(EndpointRow.name == name))
    if taken not in (None, own_id):
        raise Conflict(f"There is a model service with the name {name} already.")


def _sendable(key: str) -> bool:
    return 0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key


def _from_environment(variable: str, owner: str) -> SecretStr:
    key = os.environ.get(variable, "").strip()
    if not _sendable(key):
        raise KeyRefused(
            f"The environment variable {variable}, which should hold the key of {owner}, was not set where Groundwork "
            "was started. Set it and start Groundwork again."
        )
    return SecretStr(key)
