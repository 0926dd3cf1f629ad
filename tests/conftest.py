"""Fixtures for all tests: temporary data, the real services over it, and no way to the developer's own data."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import services as composition
from core.services import Services, build
from core.settings import ROOT, Settings
from core.types import Chunk, Document, JobStatus
from tests.application import CACHE, FORM
from tests.small import SmallClient
from tests.stored import store_vectors

SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def _no_foreign_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the data folder of the checkout."""
    monkeypatch.setenv("GROUNDWORK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GROUNDWORK_EMBEDDING_FORM", FORM)  # else every server would find out which is fastest
    monkeypatch.setenv("GROUNDWORK_CACHE", CACHE.name)


@pytest.fixture(scope="session")
def abuse_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of hostile files, names and prompts with its manifest.json; made once, because it takes nine seconds."""
    maker = SHARED / "abuse" / "make_abuse.py"
    if not maker.exists():
        pytest.skip("../shared/abuse is not beside the repository")
    folder = tmp_path_factory.mktemp("abuse")
    subprocess.run([sys.executable, str(maker), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # The store is named, so that no GROUNDWORK_MODELS lets a test write into somebody's real models.
    return Settings(data=tmp_path / "data", models=tmp_path / "data" / "models", passages=3)


@pytest.fixture
def client(settings: Settings) -> SmallClient:
    return SmallClient(settings.run)


@pytest.fixture
def live(settings: Settings, client: SmallClient) -> Iterator[Services]:
    """The real services with the small client at their edge; no other process is started."""
    made = build(settings, client)
    composition.use(made)
    yield made
    composition.use(None)
    made.turns.stop_all()
    made.turns.wait_idle(5)
    made.release()


@pytest.fixture
def add_text(live: Services) -> Callable[..., str]:
    """Take in a text as the worker would: a chunk for every paragraph. Returns the document's id."""

    def add(text: str, *, name: str = "note.md", collection: str | None = None, owner_id: str = "local") -> str:
        home = live.documents.collection(collection, owner_id=owner_id) if collection else None
        added = live.documents.add(io.BytesIO(text.encode()), name=name, owner_id=owner_id, collection_id=home)
        chunks, start = [], 0
        for position, paragraph in enumerate(text.split("\n\n")):
            chunks.append(Chunk(position, start, start + len(paragraph), paragraph))
            start += len(paragraph) + 2
        live.chunks.save_text(added.document_id, Document(name, "text/plain", text), chunks, {"chunks": len(chunks)})
        pending = live.chunks.unembedded(added.document_id, live.settings.embedding_model)
        vectors = live.client.embed([text for _, text in pending], priority="ingest")
        store_vectors(live, added.document_id, vectors)
        job = live.jobs.claim("test")
        if job is not None:
            live.jobs.finish(job.id, "test", JobStatus.done)
        return added.document_id

    return add


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="write the README's pictures into docs/pictures")
