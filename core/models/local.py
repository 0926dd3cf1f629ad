"""Models that were imported or made on this machine, beside those of the catalog: files of a store, with a card each.

`<id>.gguf` is the model and `<id>.json` its card; a model without a readable card does not exist.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from core.errors import Conflict, NotFound
from core.models.catalog import CatalogModel, ModelFile, find, load_catalog

log = logging.getLogger(__name__)

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def known_models(store: Path) -> dict[str, CatalogModel]:
    """All models by their ids: the catalog first, then the local ones."""
    return {**load_catalog(), **local_models(store)}


def find_model(model_id: str, store: Path) -> CatalogModel:
    """The model of that id. Raises NotFound, with the ids that look alike."""
    local = local_models(store)
    return local[model_id] if model_id in local else find(model_id)


def local_models(store: Path) -> dict[str, CatalogModel]:
    """The local models by their ids. A card that makes no sense is left out: it is a file like any other."""
    found = {}
    for card in sorted(store.glob("*.json")):
        try:
            model = _read(card)
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            log.debug("%s is no card of a model: %r", card.name, error)
            continue
        if model.id not in load_catalog():
            found[model.id] = model
    return found


def new_id(wanted: str, store: Path) -> str:
    """An id for a new model, made of its name. Raises Conflict when it is taken."""
    model_id = re.sub(r"[^a-z0-9._-]+", "-", wanted.lower()).strip("-._")[:100] or "model"
    if model_id in load_catalog() or (store / f"{model_id}.gguf").exists():
        raise Conflict(f"There is a model {model_id} already. Choose another name, or remove that one first.")
    return model_id


def write_card(model: CatalogModel, store: Path) -> None:
    """Make a file of the store a model; replaces the card at once."""
    file = model.files[0]
    card = {
        "id": model.id,
        "title": model.title,
        "description": model.description,
        "licence": model.licence,
        "languages": list(model.languages),
        "context_tokens": model.context_tokens,
        "bytes": file.bytes,
        "sha256": file.sha256,
    }
    draft = store / f"{model.id}.json.{os.getpid()}.tmp"
    draft.write_text(json.dumps(card, indent=1, ensure_ascii=False), encoding="utf-8")
    draft.replace(store / f"{model.id}.json")


def make_model(
    model_id: str,
    *,
    title: str,
    description: str,
    licence: str,
    context_tokens: int,
    size: int,
    sha256: str,
    languages: tuple[str, ...] = (),
) -> CatalogModel:
    """A local chat model, which has no source: what is deleted cannot be fetched again."""
    name = f"{model_id}.gguf"
    return CatalogModel(
        id=model_id,
        role="chat",
        title=title,
        description=description,
        licence=licence,
        languages=languages,
        context_tokens=context_tokens,
        dimension=0,
        file=name,
        files=(ModelFile(name, size, sha256),),
        sources=(),
    )


def remove_card(model_id: str, store: Path) -> None:
    """Forget a local model; its file is deleted by `fetch.remove`. Raises NotFound for a model of the catalog."""
    if model_id in load_catalog():
        raise NotFound(f"{model_id} is a model of the catalog and has no card.")
    (store / f"{model_id}.json").unlink(missing_ok=True)


def _read(card: Path) -> CatalogModel:
    body: Mapping[str, object] = json.loads(card.read_text(encoding="utf-8"))
    model_id, sha256, size = body["id"], body["sha256"], body["bytes"]
    if model_id != card.stem or not isinstance(model_id, str) or not _ID.fullmatch(model_id):
        raise ValueError("it is not named after its model")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or not isinstance(size, int) or size <= 0:
        raise ValueError("its hash or size is none")
    languages = body.get("languages")
    context = body.get("context_tokens")
    return make_model(
        model_id,
        title=str(body["title"])[:200],
        description=str(body.get("description", ""))[:1_000],
        licence=str(body.get("licence", ""))[:100],
        context_tokens=context if isinstance(context, int) and context > 0 else 2048,
        size=size,
        sha256=sha256,
        languages=tuple(str(code)[:20] for code in languages) if isinstance(languages, list) else (),
    )
