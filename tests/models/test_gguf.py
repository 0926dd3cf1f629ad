"""Reading the head of a GGUF file, without believing it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from core.errors import ModelCorrupt, ModelMissing
from core.models.catalog import find, is_installed
from core.models.gguf import read_gguf
from core.settings import load

MODEL = "smollm2-135m-instruct-q4_1"
HEAD = 4 << 20  # bytes: more than the head of the test model


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def gguf(*entries: bytes, tensors: bytes = b"", count: int = 0) -> bytes:
    base = entry("general.architecture", 8, text("llama"))
    return b"GGUF" + struct.pack("<IQQ", 3, count, len(entries) + 1) + base + b"".join(entries) + tensors


def tensor(name: str, rows: int, kind: int, offset: int) -> bytes:
    return text(name) + struct.pack("<IQIQ", 1, rows, kind, offset)


@pytest.fixture
def real() -> Path:
    store, model = load().model_store, find(MODEL)
    if not is_installed(model, store):
        pytest.skip(f"{MODEL} is not in {store}")
    return store / model.file


@pytest.mark.model
def test_real_model_says_what_it_is(real: Path) -> None:
    found = read_gguf(real)
    assert (found.architecture, found.precision, found.licence) == ("llama", "Q4_1", "apache-2.0")
    assert found.parameters == 134_515_008
    assert found.context_tokens == 8192
    assert "<|im_start|>" in found.template
    # 30 layers, 3 heads of 64 numbers for keys and as many for values, 2 bytes each
    assert found.cell_bytes() == 30 * 3 * (64 + 64) * 2


@pytest.mark.model
@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
def test_download_that_was_cut_off_is_found_without_loading_it(real: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(real.read_bytes()[: int(real.stat().st_size * share)])
    with pytest.raises(ModelCorrupt, match="cut.gguf"):
        read_gguf(cut)


@pytest.mark.model
def test_changed_head_is_refused_or_read_but_nothing_else(real: Path, tmp_path: Path) -> None:
    head, size = bytearray(real.read_bytes()[:HEAD]), real.stat().st_size
    luck, refused = random.Random(7), 0
    for number in range(300):
        changed = bytearray(head)
        for _ in range(luck.randint(1, 3)):
            changed[luck.randrange(4, 4_000)] = luck.randrange(256)
        file = tmp_path / f"{number}.gguf"
        with file.open("wb") as out:
            out.write(changed)
            out.truncate(size)
        try:
            read_gguf(file)
        except ModelCorrupt:
            refused += 1
        file.unlink()
    assert refused > 50


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "too short"),
        (b"<!DOCTYPE html><html>" + bytes(100), "does not begin"),
        (gguf()[:4] + struct.pack("<I", 99) + bytes(60), "version 99"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1) + bytes(60), "claims"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", (1 << 64) - 1) + bytes(60), "text of"),
        (gguf(entry("a", 9, struct.pack("<IQ", 10, 1 << 61))), "impossible list"),
        (gguf(entry("a", 9, struct.pack("<IQIQ", 9, 1, 9, 1))), "impossible list"),
        (gguf(*(entry(f"a{n}", 9, struct.pack("<IQ", 8, 1 << 20) + bytes(8 << 20)) for n in range(3))), "hold more"),
        (gguf(*(entry(f"a{n}", 8, text("x" * (4 << 20))) for n in range(17))), "64 MB together"),
        (gguf(entry("a", 77, bytes(8))), "unknown kind 77"),
        (gguf(entry("a", 4, bytes(4)), entry("a", 4, bytes(4))), "twice"),
        (gguf(entry("general.alignment", 4, struct.pack("<I", 0))), "alignment"),
        (gguf(tensors=tensor("t", 1 << 40, 0, 0), count=1), "ends before its tensor"),
        (gguf(tensors=tensor("t", 1, 0, 1 << 50), count=1), "ends before its tensor"),
        (gguf(tensors=text("t") + struct.pack("<I", 1000) + bytes(8000), count=1), "impossible"),
        (gguf(tensors=tensor("t", 8, 0, 0) + tensor("t", 8, 0, 0) + bytes(200), count=2), "impossible"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry("a", 4, bytes(4)), "what kind of model"),
    ],
)
def test_impossible_file_is_refused_with_the_reason(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=why):
        read_gguf(file)


@pytest.mark.parametrize(
    "entry",
    [
        entry("llama.attention.head_count_kv", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b")),
        entry("llama.attention.head_count_kv", 9, struct.pack("<IQ", 4, 2_000) + bytes(8_000)),
        entry("llama.attention.head_count_kv", 6, struct.pack("<f", float("inf"))),
        entry("llama.attention.head_count_kv", 8, text("three")),
        entry("llama.attention.head_count_kv", 5, struct.pack("<i", -1)),
        entry("llama.attention.head_count", 9, struct.pack("<IQ", 8, 1) + text("a")),
        entry("llama.attention.head_count", 9, struct.pack("<IQf", 6, 1, float("nan"))),
        entry("llama.block_count", 10, struct.pack("<Q", 1 << 63)),
        entry("llama.embedding_length", 9, struct.pack("<IQI", 4, 1, 64)),
    ],
    ids=range(9),
)
def test_size_that_no_model_has_is_refused_before_anything_is_computed_from_it(tmp_path: Path, entry: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(gguf(entry))
    with pytest.raises(ModelCorrupt, match="is no number that a model can have"):
        read_gguf(file)


def test_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="gone.gguf"):
        read_gguf(tmp_path / "gone.gguf")


def test_memory_of_a_token_follows_from_the_head(tmp_path: Path) -> None:
    def number(key: str, value: int) -> bytes:
        return entry(f"llama.{key}", 4, struct.pack("<I", value))

    heads = entry("llama.attention.head_count_kv", 9, struct.pack("<IQIII", 4, 3, 2, 2, 1))
    file = tmp_path / "small.gguf"
    file.write_bytes(
        gguf(number("block_count", 3), number("embedding_length", 64), number("attention.head_count", 4), heads)
    )
    assert read_gguf(file).cell_bytes(2, 1) == 5 * (16 * 2 + 16 * 1)
