"""The fastest form that gives the same vectors is found once on every machine, and nothing that fails is chosen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import ModelCorrupt, ModelMissing
from core.serving.vectors import errand, sealed
from core.serving.vectors.choice import Choice, Trial, choose, conditions, decide, read, write
from core.serving.vectors.converted import PLAN, fingerprint
from core.serving.vectors.forms import FORMS, PLAIN, Backend, Form
from core.settings import ROOT
from tests.serving.vectors.conftest import available

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch and transformers, about themselves

TORCH_HALF, OV, OV_HALF, OV_INT8 = FORMS[1:]


@dataclass(frozen=True)
class Chosen:
    """A choice for the small model, the folder it is kept in, and the progress that was heard."""

    work: Path
    choice: Choice
    heard: list[tuple[int, int, str]]

    @property
    def file(self) -> Path:
        return next(self.work.glob("choice-*.json"))


@pytest.fixture(scope="session")
def chosen(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Chosen:
    work = tmp_path_factory.mktemp("chosen") / "made" / "when needed"
    heard: list[tuple[int, int, str]] = []
    choice = choose("tiny", tiny, work=work, threads=2, progress=lambda *step: heard.append(step))
    return Chosen(work, choice, heard)


@pytest.mark.parametrize(
    ("trials", "form"),
    [
        ([Trial(PLAIN, 30, 1.0), Trial(OV, 50, 1.0), Trial(OV_HALF, 89, 0.9999)], OV_HALF),
        ([Trial(PLAIN, 30, 1.0), Trial(OV, 50, 1.0), Trial(OV_HALF, 89, 0.9989)], OV),
        ([Trial(PLAIN, 30, 1.0), Trial(OV, 32.9, 1.0)], PLAIN),
        ([Trial(PLAIN, 30, 1.0), Trial(OV, 33.1, 1.0)], OV),
        ([Trial(PLAIN, 30, 1.0), Trial(OV_INT8, 90, float("nan"))], PLAIN),
        ([Trial(PLAIN, 30, 1.0), Trial(OV_HALF, 0, 0, "it crashed"), Trial(TORCH_HALF, 60, 0.9998)], TORCH_HALF),
        ([Trial(PLAIN, 30, 1.0)], PLAIN),
    ],
    ids=["fastest", "too far off", "hardly faster", "just faster", "no number", "crashed", "alone"],
)
def test_the_fastest_form_with_the_same_vectors_is_chosen(trials: list[Trial], form: Form) -> None:
    assert decide(trials) == form


def test_every_form_is_measured_and_progress_is_told(chosen: Chosen) -> None:
    assert [trial.form for trial in chosen.choice.trials] == list(FORMS)
    for trial in chosen.choice.trials:
        assert (trial.speed > 0) == (trial.form in available()) == (not trial.reason)
    assert chosen.choice.trials[0].cosine == 1.0
    assert chosen.choice.form == decide(chosen.choice.trials)
    done, of, _ = zip(*chosen.heard, strict=True)
    assert (list(done), set(of)) == (list(range(1, len(done) + 1)), {len(done)})


def test_only_the_chosen_form_stays_converted(chosen: Chosen) -> None:
    light = [chosen.choice.form] if chosen.choice.form.backend is Backend.openvino else []
    assert [plan.parent.name.split("-", 1)[1] for plan in chosen.work.glob(f"*/{PLAN}")] == [str(f) for f in light]


def test_a_choice_is_kept(chosen: Chosen, tiny: Path) -> None:
    heard: list[object] = []
    again = choose("tiny", tiny, work=chosen.work, threads=2, progress=lambda *step: heard.append(step))
    assert (again, heard) == (chosen.choice, [])


def test_a_kept_choice_is_obeyed_whatever_would_be_measured(tiny: Path, tmp_path: Path) -> None:
    marks = fingerprint("tiny", tiny)
    slow = Choice(TORCH_HALF, (Trial(PLAIN, 30, 1.0), Trial(TORCH_HALF, 60, 1.0)))
    write(tmp_path / f"choice-{marks[:20]}.json", slow, conditions(marks, 2))
    assert choose("tiny", tiny, work=tmp_path, threads=2) == slow


def test_a_choice_counts_only_under_the_conditions_it_was_made_under(chosen: Chosen, tiny: Path) -> None:
    marks = fingerprint("tiny", tiny)
    made_under = conditions(marks, 2)
    assert read(chosen.file, made_under) == chosen.choice
    assert read(chosen.file, conditions(marks, 1)) is None
    for name in made_under:
        assert read(chosen.file, {**made_under, name: "another"}) is None, name


@pytest.mark.parametrize(
    "value",
    [
        {"form": "onnx-float32", "trials": []},
        {"form": str(PLAIN)},
        {"form": str(PLAIN), "trials": [{"form": str(PLAIN), "speed": "fast"}]},
        {"form": str(PLAIN), "trials": 3},
    ],
)
def test_a_choice_of_another_shape_is_not_read(value: dict[str, object], tmp_path: Path) -> None:
    sealed.write(tmp_path / "choice.json", {"conditions": {"threads": 2}, **value})
    assert read(tmp_path / "choice.json", {"threads": 2}) is None


def test_a_damaged_choice_is_measured_again(chosen: Chosen, tiny: Path, tmp_path: Path) -> None:
    work = shutil.copytree(chosen.work, tmp_path / "work")
    file = next(work.glob("choice-*.json"))
    file.write_text(file.read_text().replace(str(chosen.choice.form), "openvino-float64"))
    heard: list[object] = []
    again = choose("tiny", tiny, work=work, threads=2, progress=lambda *step: heard.append(step))
    assert heard
    assert [trial.form for trial in again.trials] == list(FORMS)
    assert read(file, conditions(fingerprint("tiny", tiny), 2)) == again


def test_a_model_of_unusual_modules_is_computed_by_torch(build_embedder: Callable[..., Path], tmp_path: Path) -> None:
    choice = choose("dense", build_embedder(dense=True), work=tmp_path, threads=2)
    assert choice.form.backend is Backend.torch
    for trial in choice.trials:
        if trial.form.backend is Backend.openvino and trial.form in available():
            assert "it is made of Transformer + Pooling + Dense" in trial.reason


def test_a_form_that_crashes_its_process_is_only_not_chosen(tiny: Path, tmp_path: Path) -> None:
    package = tmp_path / "packages" / "openvino.py"
    package.parent.mkdir()
    package.write_text(
        "import os\n"
        "class Core:\n    def get_property(self, *_): return ['FP32']\n"
        "class frontend:\n    class OpConversionFailure(Exception): pass\n"
        "def convert_model(*_, **__): os.abort()\n"
    )
    code = (
        "from pathlib import Path; from core.serving.vectors.choice import choose\n"
        f"choice = choose('tiny', Path({str(tiny)!r}), work=Path({str(tmp_path)!r}), threads=1)\n"
        "for trial in choice.trials: print(trial.form, round(trial.speed), trial.reason)\n"
        "print(choice.form)"
    )
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = shown.stdout.splitlines()
    assert lines[2] == "openvino-float32 0 the process that tried it ended with code -6", shown.stderr
    assert lines[3] == "openvino-bfloat16 0 the processor does not compute in bfloat16"
    assert lines[4] == "openvino-int8 0 the process that tried it ended with code -6"
    assert lines[5].startswith("torch-")


def test_a_folder_that_cannot_be_written_to_leaves_the_plain_form(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    choice = choose("tiny", tiny, work=tmp_path / "file" / "work", threads=1)
    assert choice.form == PLAIN
    assert all("Not a directory" in trial.reason for trial in choice.trials)


def test_what_takes_too_long_is_tried_another_time(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "LONGEST", 0.5)
    choice = choose("tiny", tiny, work=tmp_path, threads=1)
    assert choice.form == PLAIN
    assert all("took longer than" in trial.reason for trial in choice.trials)
    assert list(tmp_path.glob("choice-*")) == []


def test_a_broken_model_is_no_matter_of_choice(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="Download the model again"):
        choose("gone", tmp_path / "gone", work=tmp_path, threads=1)
    folder = shutil.copytree(tiny, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelCorrupt, match="damaged or incomplete"):
        choose("broken", folder, work=tmp_path / "work", threads=1)
    assert list((tmp_path / "work").iterdir()) == []
