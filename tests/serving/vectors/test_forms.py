"""Which forms there are, on which machine, and what a process needs for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.serving.vectors.forms import FORMS, PLAIN, Backend, Form, Precision, survey
from core.serving.vectors.processor import parse, processor
from core.settings import ROOT
from tests.serving.vectors.conftest import available


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_form_is_known_by_its_name(form: Form) -> None:
    assert Form.parse(str(form)) == form


def test_a_form_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="openvino-bfloat16"):
        Form.parse("onnx-float32")


def test_the_flags_say_whether_a_processor_computes_in_bfloat16() -> None:
    zen4 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\nprocessor\t: 1\n"
    skylake = zen4.replace(" avx512_bf16", "").replace("AMD EPYC", "Xeon Gold")
    arm = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd i8mm bf16\n"
    assert [parse(text).computes_bfloat16 for text in (zen4, skylake, arm, "")] == [True, False, True, False]
    assert parse(skylake).name == "Xeon Gold"
    assert parse(zen4).flags == {"fpu", "avx2", "avx512f", "avx512_bf16"}


def test_bfloat16_is_offered_only_where_the_processor_computes_in_it() -> None:
    half = Form(Backend.torch, Precision.bfloat16)
    assert (half in available()) == processor().computes_bfloat16
    assert PLAIN in available()


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("raise ImportError('no such plug-in')", "OpenVINO cannot be used: no such plug-in"),
        ("raise OSError('libtbb.so.12: cannot open shared object file')", "OpenVINO cannot be used: libtbb.so.12"),
        ("class Core:\n    def get_property(self, *_): raise RuntimeError('no CPU\\nat 7')", "cannot be used: no CPU"),
    ],
    ids=["missing", "broken", "without a device"],
)
def test_without_openvino_its_forms_say_why_they_are_not_to_be_had(tmp_path: Path, package: str, said: str) -> None:
    (tmp_path / "openvino.py").write_text(package)
    code = (
        "from core.serving.vectors.forms import survey\nfor form, reason in survey().items(): print(form, '|', reason)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert shown[0] == "torch-float32 | "
    assert [line for line in shown if said in line] == [line for line in shown if line.startswith("openvino")] != []


def test_looking_what_there_is_imports_no_torch() -> None:
    code = "import sys; from core.serving.vectors.forms import survey; survey(); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
    assert set(survey()) == set(FORMS)
