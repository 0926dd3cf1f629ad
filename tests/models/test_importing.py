"""Models that were imported or made here."""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from pathlib import Path

import pytest

from core.errors import BadUpload, Cancelled, Conflict, ModelCorrupt, NotFound
from core.models.catalog import installed_path, is_installed, load_catalog
from core.models.importing import import_model, look_at
from core.models.local import find_model, known_models, local_models, remove_card
from tests.models.test_gguf import entry, gguf, text

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


def written(folder: Path, *more: bytes, name: str = "Some Model") -> Path:
    file = folder / "given.gguf"
    file.write_bytes(
        gguf(
            entry("general.name", 8, text(name)),
            entry("general.file_type", 4, struct.pack("<I", 15)),
            entry("llama.context_length", 4, struct.pack("<I", 4096)),
            entry("tokenizer.chat_template", 8, text(TEMPLATE)),
            *more,
        )
    )
    return file


def imported(file: Path, store: Path, title: str = "") -> str:
    candidate = look_at(str(file))
    shares: list[float] = []
    model = import_model(
        candidate, store, title=title or candidate.title, progress=shares.append, cancel=threading.Event()
    )
    assert shares[-1] == 1
    return model.id


def test_imported_model_is_known_with_its_hash_and_what_it_says(tmp_path: Path) -> None:
    store, file = tmp_path / "store", written(tmp_path)
    model = find_model(imported(file, store), store)
    assert model.id == "some-model-q4_k_m"
    assert model.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert model.context_tokens == 4096
    assert is_installed(model, store)
    assert not model.fetchable
    assert installed_path(model, store).read_bytes() == file.read_bytes()
    assert set(known_models(store)) == {*load_catalog(), model.id}


def test_template_can_be_looked_at_before(tmp_path: Path) -> None:
    assert look_at(f'  "{written(tmp_path)}" ').gguf.template == TEMPLATE


def test_name_that_is_taken_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    store, file = tmp_path / "store", written(tmp_path)
    imported(file, store)
    before = sorted(store.iterdir())
    for title in ("Some Model Q4_K_M", "smollm2-135m-instruct-q4_1"):
        with pytest.raises(Conflict, match="already"):
            imported(file, store, title)
    assert sorted(store.iterdir()) == before


@pytest.mark.parametrize("title", ["../../etc/passwd", "a/b\\c", "日本語", "....", "x" * 300])
def test_name_never_leaves_the_store(tmp_path: Path, title: str) -> None:
    store = tmp_path / "store"
    model_id = imported(written(tmp_path), store, title)
    assert {path.parent for path in store.iterdir()} == {store}
    assert find_model(model_id, store).title == title[:200]


def test_stopped_import_leaves_nothing(tmp_path: Path) -> None:
    store, stop = tmp_path / "store", threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        import_model(look_at(str(written(tmp_path))), store, title="X", progress=lambda share: None, cancel=stop)
    assert list(store.iterdir()) == []


def test_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    store, file = tmp_path / "store", written(tmp_path)
    candidate = look_at(str(file))
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(ModelCorrupt, match="changed"):
        import_model(candidate, store, title="X", progress=lambda share: None, cancel=threading.Event())
    assert list(store.iterdir()) == []


@pytest.mark.parametrize("path", ["", "relative.gguf", "/nowhere/at/all.gguf", "/tmp"])
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(BadUpload, match="no file"):
        look_at(path)


def test_model_without_a_template_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "base.gguf"
    file.write_bytes(gguf())
    with pytest.raises(ModelCorrupt, match="chat template"):
        look_at(str(file))


def test_removed_card_removes_the_model(tmp_path: Path) -> None:
    store = tmp_path / "store"
    model_id = imported(written(tmp_path), store)
    remove_card(model_id, store)
    assert local_models(store) == {}
    with pytest.raises(NotFound):
        remove_card("smollm2-135m-instruct-q4_1", store)


@pytest.mark.parametrize(
    "change",
    [{"id": "another"}, {"sha256": "x"}, {"bytes": 0}, {"bytes": "1"}, {"id": "../x"}, None],
)
def test_card_that_makes_no_sense_is_no_model(tmp_path: Path, change: dict[str, object] | None) -> None:
    store = tmp_path / "store"
    card = store / f"{imported(written(tmp_path), store)}.json"
    card.write_text("[]" if change is None else json.dumps(json.loads(card.read_text()) | change))
    assert local_models(store) == {}


def test_local_model_never_takes_the_place_of_one_of_the_catalog(tmp_path: Path) -> None:
    store = tmp_path / "store"
    card = store / f"{imported(written(tmp_path), store)}.json"
    wanted = "smollm2-135m-instruct-q4_1"
    (store / f"{wanted}.json").write_text(json.dumps(json.loads(card.read_text()) | {"id": wanted}))
    assert find_model(wanted, store) is load_catalog()[wanted]
