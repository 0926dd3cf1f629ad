"""What the kernel keeps from the programs that read files and pictures of strangers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.readers import without_network
from core.settings import ROOT

CONFINED = str(ROOT / "ingest" / "ocr" / "confined.py")
INTERFACES = "print([line.split(':')[0].strip() for line in open('/proc/self/net/dev')][2:])"
needs_user_namespaces = pytest.mark.skipif(
    not without_network(), reason="this kernel does not let a program give up the network"
)


@needs_user_namespaces
def test_libraries_in_c_have_no_network_in_the_child_either() -> None:
    code = f"from ingest import parse; print(parse._leave_network()); {INTERFACES}"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.split("\n")[:2] == ["True", "['lo']"]


@needs_user_namespaces
def test_a_recogniser_has_no_network() -> None:
    limits = [str(512 << 20), "5", str(1 << 20)]
    command = [sys.executable, "-I", CONFINED, *limits, sys.executable, "-c", INTERFACES]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "['lo']\n"


def test_a_recogniser_cannot_fill_the_disk(tmp_path: Path) -> None:
    limits = [str(512 << 20), "5", str(1 << 20)]
    with (tmp_path / "answer").open("wb") as answer:
        command = [sys.executable, "-I", CONFINED, *limits, sys.executable, "-c", "print('x' * (2 << 20))"]
        ended = subprocess.run(command, stdout=answer, stderr=subprocess.DEVNULL, check=False)
    assert ended.returncode != 0
    assert (tmp_path / "answer").stat().st_size <= 1 << 20
