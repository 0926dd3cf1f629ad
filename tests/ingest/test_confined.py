"""What the kernel keeps from the programs that read files and pictures of strangers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.readers import without_disk, without_network
from core.settings import ROOT

CONFINED = ("-P", "-s", "-m", "ingest.ocr.confined")
INTERFACES = "print([line.split(':')[0].strip() for line in open('/proc/self/net/dev')][2:])"
needs_user_namespaces = pytest.mark.skipif(
    not without_network(), reason="this kernel does not let a program give up the network"
)
needs_landlock = pytest.mark.skipif(
    not without_disk(), reason="this kernel has no Landlock: libraries in C may write what the user may"
)
PATHS = {"PYTHONPATH": str(ROOT)}
# Takes the place of a loader, in a reader that is a process of its own and has given up all that it gives up.
READER = """
import ctypes, os, shutil, sqlite3, sys
from ingest import loaders, parse

def attempt(path, name):
    tried = eval(name, {"at": str(path), "new": str(path) + "-new", "C": ctypes.CDLL(None), "b": os.fsencode(path),
                        "bnew": os.fsencode(path) + b"-new", "os": os, "shutil": shutil, "sqlite3": sqlite3})
    print("it came to", tried, file=sys.stderr)
    raise ZeroDivisionError

loaders.load = attempt
parse.main()
"""


def attempt(path: Path, what: str) -> str:
    """What a reader says that tries this instead of reading the file."""
    request = {"path": str(path), "name": what, "seconds": 30, "memory": 1 << 30, "output": 1 << 20}
    child = subprocess.Popen(
        [sys.executable, "-P", "-s", "-c", READER], cwd=path.parent, env=PATHS, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stderr is not None
    with child:
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()  # and stays open: its end ends the reader
        return child.stderr.read().decode()


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "stored"
    path.write_bytes(b"words")
    return path


def untouched(stored: Path) -> bool:
    return [path.name for path in stored.parent.iterdir()] == ["stored"] and stored.read_bytes() == b"words"


@pytest.mark.parametrize(
    "what",
    [
        "open(new, 'w')", "open(at, 'r+b')", "open(at, 'a')", "os.open(new, os.O_CREAT)", "os.open(at, os.O_RDWR)",
        "os.remove(at)", "os.rename(at, new)", "os.replace(at, new)", "os.mkdir(new)", "os.link(at, new)",
        "os.symlink(at, new)", "os.truncate(at, 0)", "os.chmod(at, 0)", "os.chown(at, 1, 1)", "os.utime(at)",
        "shutil.copyfile(at, new)", "shutil.rmtree(at)", "sqlite3.connect(new)",
    ],
)  # fmt: skip
def test_a_reader_writes_to_no_file_with_python(stored: Path, what: str) -> None:
    said = attempt(stored, what)
    assert said.endswith("PermissionError")
    assert "in _forbid" in said
    assert untouched(stored)


@needs_landlock
@pytest.mark.parametrize(
    "what",
    [
        "C.fopen(bnew, b'w')", "C.fopen(b, b'r+')", "C.open(bnew, os.O_CREAT | os.O_WRONLY, 0o600)",
        "C.open(b, os.O_RDONLY | os.O_TRUNC)", "C.unlink(b)", "C.rename(b, bnew)", "C.mkdir(bnew, 0o700)",
        "C.symlink(b, bnew)", "C.link(b, bnew)", "C.truncate(b, 0)", "C.mkfifo(bnew, 0o600)",
    ],
)  # fmt: skip
def test_a_reader_writes_to_no_file_with_libraries_in_c_either(stored: Path, what: str) -> None:
    assert "it came to " + ("0" if "fopen" in what else "-1") in attempt(stored, what)
    assert untouched(stored)


@pytest.mark.parametrize(
    "what", ["open(at).read()", "open(os.devnull, 'w').write('words')", "os.write(os.memfd_create('a'), b'words')"]
)
def test_a_reader_still_reads_and_throws_away_and_keeps_in_memory(stored: Path, what: str) -> None:
    assert "it came to " in attempt(stored, what)


@needs_landlock
def test_a_recogniser_writes_to_no_file(stored: Path) -> None:
    code = f"open(os.devnull, 'w').write('a'); print(open({str(stored)!r}).read()); open({str(stored)!r}, 'w')"
    limits = [str(512 << 20), "5", str(1 << 20)]
    command = [sys.executable, *CONFINED, *limits, sys.executable, "-c", f"import os; {code}"]
    tried = subprocess.run(command, env=PATHS, capture_output=True, text=True, check=False)
    assert tried.stdout == "words\n"
    assert "PermissionError" in tried.stderr
    assert untouched(stored)


@needs_user_namespaces
def test_libraries_in_c_have_no_network_in_the_child_either() -> None:
    code = f"from ingest import parse; print(parse._leave_network()); {INTERFACES}"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.split("\n")[:2] == ["True", "['lo']"]


@needs_user_namespaces
def test_a_recogniser_has_no_network() -> None:
    limits = [str(512 << 20), "5", str(1 << 20)]
    command = [sys.executable, *CONFINED, *limits, sys.executable, "-c", INTERFACES]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=PATHS).stdout == "['lo']\n"


def test_a_recogniser_cannot_fill_the_disk(tmp_path: Path) -> None:
    limits = [str(512 << 20), "5", str(1 << 20)]
    with (tmp_path / "answer").open("wb") as answer:
        command = [sys.executable, *CONFINED, *limits, sys.executable, "-c", "print('x' * (2 << 20))"]
        ended = subprocess.run(command, stdout=answer, stderr=subprocess.DEVNULL, check=False, env=PATHS)
    assert ended.returncode != 0
    assert (tmp_path / "answer").stat().st_size <= 1 << 20
