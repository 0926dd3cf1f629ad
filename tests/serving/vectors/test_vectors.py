"""Every form gives the vectors that sentence-transformers gives, and what was converted is not believed blindly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ModelCorrupt, ModelError, ModelMissing
from core.serving.vectors import converted, errand
from core.serving.vectors.forms import FORMS, PLAIN, Backend, Form, load
from core.serving.vectors.openvino_model import PART_TOKENS, padded, parts
from core.serving.vectors.processor import processor
from core.serving.vectors.sample import texts
from core.settings import ROOT
from tests.serving.vectors.conftest import available

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch and transformers, about themselves

LIGHT = [form for form in available() if form.backend is Backend.openvino]
FLOAT32 = Form.parse("openvino-float32")
TEXTS = [
    "",
    "x",
    "The harbour was closed for two days because of the storm.",
    "the same word " * 400,
    "🚲🌧️☕ → 🏠 😀",
    "水库的水位每天早上测量一次，并在中午之前公布。",
    "[SEP] [MASK] <s> \x00\t\r\n ​ﬁ Ǆ",
    "a" * 5_000,
]
needs_openvino = pytest.mark.skipif(not LIGHT, reason="OpenVINO is not installed")


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A folder with the small model in every form of OpenVINO."""
    folder = tmp_path_factory.mktemp("work")
    if LIGHT:
        errand.convert("tiny", tiny, LIGHT, work=folder)
    return folder


@pytest.fixture(scope="session")
def minilm_work(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Path:
    folder = tmp_path_factory.mktemp("work")
    if LIGHT:
        errand.convert("minilm", minilm, LIGHT, work=folder)
    return folder


@pytest.fixture(scope="session")
def reference(minilm: Path) -> Callable[[Sequence[str]], Any]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(minilm), device="cpu", local_files_only=True)
    return lambda given: model.encode(list(given), normalize_embeddings=True, show_progress_bar=False)


def cosines(first: Any, second: Any) -> Any:
    assert first.shape == second.shape
    assert np.allclose(np.linalg.norm(second, axis=1), 1, atol=1e-3)
    return (first * second).sum(axis=1)


@pytest.mark.model
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_gives_the_vectors_of_sentence_transformers(
    form: Form, minilm: Path, minilm_work: Path, reference: Callable[[Sequence[str]], Any]
) -> None:
    if form not in available():
        pytest.skip(f"{processor().name} has no {form}")
    model = load("minilm", minilm, form, work=minilm_work, threads=2)
    given = [*TEXTS, *texts()[-30:]]
    found = model.encode(given)
    assert found.vectors.dtype == np.float32
    assert cosines(reference(given), found.vectors).min() >= 0.999
    assert (model.dimension, model.max_tokens) == (384, 256)


@pytest.mark.model
@pytest.mark.parametrize("form", [PLAIN, *LIGHT[:1]], ids=str)
def test_tokens_are_counted_beyond_what_the_model_reads(form: Form, minilm: Path, minilm_work: Path) -> None:
    model = load("minilm", minilm, form, work=minilm_work, threads=2)
    long = "word " * 300
    found = model.encode(["", "one word", long, long + "and another end"])
    assert found.tokens == (2, 4, 302, 305) == tuple(model.tokenize(["", "one word", long, long + "and another end"]))
    assert np.allclose(found.vectors[2], found.vectors[3], atol=1e-6)
    assert not np.allclose(found.vectors[2], found.vectors[1], atol=1e-2)


@pytest.mark.model
@needs_openvino
def test_a_process_with_a_converted_model_imports_no_torch_and_no_telemetry(
    minilm: Path, minilm_work: Path, tmp_path: Path
) -> None:
    # OpenVINO would import this package, and with it tell Google Analytics that it was started.
    (tmp_path / "openvino_telemetry.py").write_text("raise SystemExit('telemetry was imported')")
    code = (
        "import sys; from pathlib import Path; from core.serving.vectors.forms import Form, load\n"
        f"model = load('minilm', Path({str(minilm)!r}), Form.parse('{LIGHT[0]}'), work=Path({str(minilm_work)!r}), threads=2)\n"
        "print(model.encode(['a question']).vectors.shape)\n"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'openvino_telemetry') if sys.modules.get(m)])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert shown.stdout.splitlines() == ["(1, 384)", "[]"], shown.stderr


@needs_openvino
@pytest.mark.parametrize("form", LIGHT, ids=str)
def test_the_number_of_threads_changes_nothing_but_the_time(form: Form, tiny: Path, work: Path) -> None:
    model = load("tiny", tiny, form, work=work, threads=3)
    plain = load("tiny", tiny, PLAIN, work=work, threads=1).encode(TEXTS).vectors
    for threads in (1, 2, 3, None):
        assert cosines(plain, model.encode(TEXTS, threads=threads).vectors).min() >= 0.99


@needs_openvino
def test_threads_that_call_at_the_same_time_get_their_own_vectors(tiny: Path, work: Path) -> None:
    model = load("tiny", tiny, FLOAT32, work=work, threads=2)
    given = [[f"{number} {word}" for word in ("tram", "bridge", "a longer text " * number)] for number in range(24)]
    alone = [model.encode(batch).vectors for batch in given]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: model.encode(batch).vectors, given))
    assert all(np.allclose(first, second, atol=1e-5) for first, second in zip(alone, together, strict=True))


@needs_openvino
def test_the_first_texts_of_a_process_may_be_shared_out_to_many_threads(tiny: Path, work: Path) -> None:
    # It hung once in 25 times, in what OpenVINO does only the first time.
    code = (
        "import sys; from pathlib import Path; from core.serving.vectors.forms import Form, load\n"
        f"model = load('tiny', Path({str(tiny)!r}), Form.parse('{FLOAT32}'), work=Path({str(work)!r}), threads=8)\n"
        "sys.setswitchinterval(1e-6)\n"
        "print(model.encode([f'text {number}' for number in range(16)]).vectors.shape)"
    )
    for _ in range(3):
        shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert shown.stdout.strip() == "(16, 32)", shown.stderr


@pytest.mark.parametrize("form", [PLAIN, *LIGHT[:1]], ids=str)
def test_no_text_and_no_unicode_are_no_reason_to_fail(form: Form, tiny: Path, work: Path) -> None:
    model = load("tiny", tiny, form, work=work, threads=2)
    assert model.encode([]).vectors.shape == (0, 32)
    assert model.tokenize([]) == []
    found = model.encode(["half a pair \ud800 of surrogates", "half a pair ? of surrogates"])
    assert np.allclose(found.vectors[0], found.vectors[1], atol=1e-4)


@needs_openvino
def test_a_model_is_pooled_as_it_says(build_embedder: Callable[..., Path], tmp_path: Path) -> None:
    folder = build_embedder("cls")
    plain = load("cls", folder, PLAIN, work=tmp_path, threads=1).encode(TEXTS).vectors
    light = load("cls", folder, FLOAT32, work=tmp_path, threads=1).encode(TEXTS).vectors
    assert cosines(plain, light).min() >= 0.9999


@needs_openvino
@pytest.mark.parametrize("part", [*converted.PARTS, converted.PLAN])
@pytest.mark.parametrize("fault", ["changed", "cut", "missing"])
def test_a_damaged_conversion_is_not_believed(part: str, fault: str, tiny: Path, work: Path, tmp_path: Path) -> None:
    place = converted.place(work, converted.fingerprint("tiny", tiny), FLOAT32)
    copy = shutil.copytree(place, tmp_path / place.name)
    assert converted.read_plan(copy) == converted.read_plan(place) is not None
    raw = bytearray((copy / part).read_bytes())
    if fault == "missing":
        (copy / part).unlink()
    elif fault == "cut":
        (copy / part).write_bytes(raw[: len(raw) // 2])
    else:
        raw[len(raw) // 2] ^= 1
        (copy / part).write_bytes(raw)
    assert converted.read_plan(copy) is None


@needs_openvino
def test_the_conversion_of_another_model_is_not_believed(tiny: Path, work: Path, tmp_path: Path) -> None:
    place = converted.place(work, converted.fingerprint("tiny", tiny), FLOAT32)
    assert converted.read_plan(shutil.copytree(place, tmp_path / f"{'0' * 20}-{FLOAT32}")) is None


@needs_openvino
def test_a_damaged_conversion_is_made_again(tiny: Path, work: Path, tmp_path: Path) -> None:
    place = converted.place(tmp_path, converted.fingerprint("tiny", tiny), FLOAT32)
    shutil.copytree(converted.place(work, converted.fingerprint("tiny", tiny), FLOAT32), place)
    whole = (place / "model.bin").read_bytes()
    (place / "model.bin").write_bytes(bytes(len(whole)))
    found = load("tiny", tiny, FLOAT32, work=tmp_path, threads=1).encode(TEXTS).vectors
    assert (place / "model.bin").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == [place.name], "nothing half-made is left"
    assert cosines(load("tiny", tiny, FLOAT32, work=work, threads=1).encode(TEXTS).vectors, found).min() >= 0.99999


@needs_openvino
def test_what_was_converted_for_an_older_version_is_removed(tiny: Path, work: Path, tmp_path: Path) -> None:
    place = converted.place(work, converted.fingerprint("tiny", tiny), FLOAT32)
    old, kept = (shutil.copytree(place, tmp_path / name) for name in ("old", place.name))
    (tmp_path / "notes").mkdir()
    converted.discard_others(tmp_path, "another model", None)
    assert old.exists()
    converted.discard_others(tmp_path, "tiny", kept)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([kept.name, "notes"])


@pytest.mark.parametrize("form", [PLAIN, *LIGHT[:1]], ids=str)
def test_a_folder_that_is_not_there_is_missing(form: Form, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="Download the model again"):
        load("gone", tmp_path / "gone", form, work=tmp_path, threads=1)


@pytest.mark.parametrize("form", [PLAIN, *LIGHT[:1]], ids=str)
def test_a_folder_that_is_broken_is_corrupt(form: Form, tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "broken")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5_000])
    with pytest.raises(ModelCorrupt, match="damaged or incomplete"):
        load("broken", folder, form, work=tmp_path, threads=1)


@needs_openvino
def test_a_conversion_is_of_no_use_without_openvino(tiny: Path, work: Path, tmp_path: Path) -> None:
    (tmp_path / "openvino.py").write_text("raise OSError('libtbb.so.12: cannot open shared object file')")
    code = (
        "from pathlib import Path; from core.errors import ModelError; from core.serving.vectors.forms import Form, load\n"
        f"try: load('tiny', Path({str(tiny)!r}), Form.parse('{FLOAT32}'), work=Path({str(work)!r}), threads=1)\n"
        "except ModelError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "cannot be computed as openvino-float32: libtbb.so.12" in shown.stdout, shown.stderr


@needs_openvino
def test_a_model_of_unusual_modules_is_only_for_torch(build_embedder: Callable[..., Path], tmp_path: Path) -> None:
    folder = build_embedder(dense=True)
    assert load("dense", folder, PLAIN, work=tmp_path, threads=1).encode(TEXTS).vectors.shape == (len(TEXTS), 16)
    with pytest.raises(ModelError, match=r"it is made of Transformer \+ Pooling \+ Dense"):
        load("dense", folder, FLOAT32, work=tmp_path, threads=1)
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.integers(0, 512), max_size=60), st.integers(1, 8))
def test_a_batch_is_cut_into_parts_that_hold_every_text_once(lengths: list[int], workers: int) -> None:
    made = parts(lengths, workers)
    assert sorted(place for part in made for place in part) == list(range(len(lengths)))
    for part in made:
        assert len(part) == 1 or sum(padded(lengths[place]) for place in part[:-1]) <= PART_TOKENS
        assert [lengths[place] for place in part] == sorted((lengths[place] for place in part), reverse=True)


@given(st.integers(1, 8), st.integers(1, 4))
def test_equal_texts_are_shared_out_equally(workers: int, each: int) -> None:
    assert [len(part) for part in parts([100] * workers * each, workers)] == [each] * workers


def test_texts_of_unlike_lengths_are_not_all_padded_to_the_longest() -> None:
    made = parts([250, 16, 240, 15, 14, 256, 12, 10], 2)
    assert not any({0, 2, 5} & set(part) and {1, 3, 4, 6, 7} & set(part) for part in made)
