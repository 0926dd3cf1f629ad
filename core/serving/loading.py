"""Finds the models of the store, and starts the process of a chat model, tuned as was found best on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from core.errors import GroundworkError, ModelError, ModelUnavailable, NotFound
from core.models.catalog import CatalogModel, installed_path, is_installed
from core.models.local import find_model, known_models
from core.serving.chat_process import ChatProcess, Hear
from core.serving.fitting import identity
from core.serving.options import LoadOptions
from core.serving.tunings import Tuner, Tunings

log = logging.getLogger(__name__)

Load = Callable[[str], None]  # loads the model of that id and raises what went wrong


def attempted(load: Load, model_id: str) -> GroundworkError | None:
    """Load, and return what went wrong: the server holds requests, and lives on without one of its models."""
    try:
        load(model_id)
    except GroundworkError as error:
        log.warning("loading %s: %s", model_id, error)
        return error
    except Exception as error:  # the edge of a job
        log.exception("loading %s", model_id)
        return ModelError(f"The model {model_id} could not be loaded ({type(error).__name__}): the log tells more.")
    return None


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
