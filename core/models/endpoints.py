"""The book of other model services: what is known of each, with its key under lock, and which one answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from pydantic import SecretStr
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.errors import BadEndpoint, Conflict, GroundworkError, NotFound
from core.models.endpoint import Draft, Endpoint, KeyKind, key_of_environment
from core.models.remote.address import host_of, origin_of, refuse_open_line, tidy
from core.models.remote.attempt import PATIENCE, Patience
from core.models.remote.client import RemoteClient, Service
from core.models.remote.habits import Habits
from core.models.remote.offer import OfferedModel
from core.models.secrets import KeyVault
from core.models.trials import Trials
from core.storage.db import Database
from core.storage.tables import EndpointRow, PreferenceRow

log = logging.getLogger(__name__)

ACTIVE = "chat_endpoint"


class Endpoints:
    """The services, in SQL. Keys are sealed before they come near the database."""

    def __init__(self, db: Database, vault: KeyVault, *, patience: Patience = PATIENCE) -> None:
        self.db = db
        self.vault = vault
        self.patience = patience
        self.trials = Trials(self.client)

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
        draft = draft.checked()
        row = EndpointRow(habits={}, key_sealed=self._seal(draft))
        _write(row, draft)
        with self.db.write() as session:
            _require_free(session, draft.name, "")
            session.add(row)
            session.flush()
            return _endpoint(row)

    def change(self, endpoint_id: str, draft: Draft) -> Endpoint:
        """Raises BadEndpoint, also when the stored key would go to another host; Conflict, NotFound, StorageError."""
        draft = draft.checked()
        sealed = self._seal(draft)
        with self.db.write() as session:
            row = _row(session, endpoint_id)
            _require_free(session, draft.name, endpoint_id)
            if not sealed and origin_of(row.url) == origin_of(draft.url):
                sealed = row.key_sealed
            if (row.url, row.model) != (draft.url, draft.model):
                row.habits = {}
            row.key_sealed = sealed
            _write(row, draft)
            changed = _endpoint(row)
        self.trials.forget(endpoint_id)
        return changed

    def remove(self, endpoint_id: str) -> None:
        """Forget a service and its key. When it was answering, the model of this machine answers again."""
        chosen = (PreferenceRow.name == ACTIVE, PreferenceRow.value == endpoint_id)
        with self.db.write() as session:
            session.delete(_row(session, endpoint_id))
            session.execute(delete(PreferenceRow).where(*chosen))
        self.trials.forget(endpoint_id)

    def activate(self, endpoint_id: str) -> None:
        """Answer with this service from now on. Raises NotFound, KeyRefused when its key cannot be had."""
        self._service(endpoint_id)
        with self.db.write() as session:
            _row(session, endpoint_id)
            session.merge(PreferenceRow(name=ACTIVE, value=endpoint_id))

    def deactivate(self) -> None:
        """Let the model of this machine answer again."""
        with self.db.write() as session:
            session.execute(delete(PreferenceRow).where(PreferenceRow.name == ACTIVE))

    def client(self, endpoint_id: str) -> RemoteClient:
        """Raises NotFound, KeyRefused when its key cannot be had."""

        def learned(habits: Habits) -> None:
            self._remember(endpoint_id, habits)

        return RemoteClient(self._service(endpoint_id), patience=self.patience, learned=learned)

    def offered(self, draft: Draft, endpoint_id: str = "") -> Sequence[OfferedModel]:
        """The models that the service of a draft lists. Raises BadEndpoint, ModelError where it has no list."""
        url, key = tidy(draft.url), None
        if draft.key_kind is KeyKind.variable:
            key = key_of_environment(draft.key_variable, host_of(url))
        elif draft.key_kind is KeyKind.stored:
            key = draft.key or (self._key_for(url, endpoint_id) if endpoint_id else None)
        if key is not None:
            refuse_open_line(url)
        return RemoteClient(Service(url, key=key), patience=self.patience).list_models(threading.Event())

    def _service(self, endpoint_id: str) -> Service:
        with self.db.read() as session:
            row = _row(session, endpoint_id)
        endpoint = _endpoint(row)
        key = None
        if endpoint.key_kind is KeyKind.stored:
            key = self.vault.open(row.key_sealed, owner=endpoint.name)
        elif endpoint.key_kind is KeyKind.variable:
            key = key_of_environment(endpoint.key_variable, endpoint.name)
        return Service(endpoint.url, endpoint.model, endpoint.context_tokens, key, endpoint.habits)

    def _key_for(self, url: str, endpoint_id: str) -> SecretStr | None:
        stored = self._service(endpoint_id)
        return stored.key if origin_of(stored.url) == origin_of(url) else None

    def _remember(self, endpoint_id: str, habits: Habits) -> None:
        try:
            with self.db.write() as session:
                _row(session, endpoint_id).habits = habits.as_dict()
        except GroundworkError as problem:  # it is learned again next time
            log.warning("what the service %s wants could not be stored: %s", endpoint_id, problem)

    def _seal(self, draft: Draft) -> str:
        return self.vault.seal(draft.key) if draft.key_kind is KeyKind.stored and draft.key else ""


def _write(row: EndpointRow, draft: Draft) -> None:
    row.name, row.url, row.model, row.context_tokens = draft.name, draft.url, draft.model, draft.context_tokens
    row.key_variable = draft.key_variable if draft.key_kind is KeyKind.variable else ""
    if draft.key_kind is not KeyKind.stored:
        row.key_sealed = ""
    elif not row.key_sealed:
        raise BadEndpoint(
            f"Type the key of {host_of(draft.url)}, or choose that it needs none. A stored key stays with its host."
        )


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
