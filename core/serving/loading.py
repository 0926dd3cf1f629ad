"""Starts the process of a chat model, tuned as was found best on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from core.errors import GroundworkError, ModelUnavailable, NotFound
from core.models.catalog import CatalogModel, installed_path, is_installed
from core.models.local import find_model, known_models
from core.serving.chat_process import ChatProcess, Hear
from core.serving.fitting import identity
from core.serving.options import LoadOptions
from core.serving.tunings import Tuner, Tunings


class ChatLoader:
    """Loads chat models of a store. `loading` is the process that is on its way."""

    def __init__(self, store: Path, tunings: Tunings, tuner: Tuner) -> None:
        self._store, self._tunings, self._tuner = store, tunings, tuner
        self.loading: ChatProcess | None = None

    def find(self, model_id: str, role: str) -> CatalogModel:
        """The model of that id and role. Raises NotFound."""
        model = find_model(model_id, self._store)
        if model.role != role:
            raise NotFound(f"The model {model_id} is for {model.role}, not for {role}.")
        return model

    def reranker(self) -> CatalogModel | None:
        """The reranker that is installed, if one is."""
        found = (model for model in known_models(self._store).values() if model.role == "reranker")
        return next((model for model in found if is_installed(model, self._store)), None)

    def path(self, model: CatalogModel) -> Path:
        """Where it is installed. Raises ModelMissing, ModelCorrupt."""
        return installed_path(model, self._store)

    def load(
        self, model: CatalogModel, options: LoadOptions, *, hear: Hear, lost: Callable[[ChatProcess], None]
    ) -> ChatProcess:
        """A process with the model, ready to work. Raises what loading raises, ModelUnavailable if it crashed."""
        path = self.path(model)
        own = identity(path, model.sha256)
        known = self._tunings.find(own, options)
        process = self.loading = ChatProcess(model.id, options, hear=hear, lost=lost)
        try:
            process.load(path, identity=own, tuning=known)
        except ModelUnavailable as error:
            raise ModelUnavailable(
                f"The model {model.id} could not be loaded: {process.end or 'its process ended'}. The file may be "
                "damaged, or too large for the memory. Download it again or choose another model."
            ) from error
        except GroundworkError:
            process.close_soon()
            raise
        finally:
            self.loading = None
        if not known:
            self._tuner.tune(process, partial(self._tunings.keep, own, options))
        return process
