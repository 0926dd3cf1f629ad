"""Makes the virtual environment and puts the pinned packages into it; standard library alone.

`python3 -m core.install [--dev]`, with VENV naming another folder than .venv. When nothing has changed since the
last time it ends at once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
STAMP = "groundwork.json"
LOG = "install.log"

# PyTorch's own index has a build without CUDA: 0.2 GB instead of 2.7 GB.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
ANSWER_SECONDS = 4.0

# GCC drops the table that llama.cpp loads before it uses the tiles of AMX, so that the first answer ends with an
# illegal instruction (llama.cpp's pull request 26954). Without them reading is a tenth slower, writing as fast.
WITHOUT_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"

STAGES = (
    (re.compile(r"(Looking|Collecting|Downloading|Using cached|Requirement)"), "downloading the packages"),
    (
        re.compile(r"Building wheels? for collected"),
        "compiling llama.cpp for this processor, about 5 minutes on 2 cores",
    ),
    (re.compile(r"Installing collected"), "unpacking the packages"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring the environment to what the requirements say; return 1 when pip could not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="with what the tests and checks need")
    dev = parser.parse_args(arguments).dev
    venv = Path(os.environ.get("VENV") or ROOT / ".venv").resolve()
    wanted = wanted_stamp(dev)
    if wanted.items() <= read_stamp(venv).items():
        return 0
    began = time.monotonic()
    try:
        install(venv, dev)
    except subprocess.CalledProcessError as error:
        print(explain(error, venv), file=sys.stderr)
        return 1
    # An environment that has the tests' packages keeps them: they are pinned together.
    (venv / STAMP).write_text(json.dumps(wanted), encoding="utf-8")
    print(f"The environment is ready, after {clock(time.monotonic() - began)}.", flush=True)
    return 0


def install(venv: Path, dev: bool) -> None:
    """Create the environment if need be and install. Raises CalledProcessError."""
    python = venv / "bin" / "python"
    if venv.is_dir() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        sys.exit(f"{venv} is no virtual environment, and making one there would delete what it holds. Set VENV.")
    (venv / STAMP).unlink(missing_ok=True)
    if not works(python):
        print(f"Making a virtual environment in {venv}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    if not has_torch(python):
        say_and_install_torch(venv, python)
    name = "requirements-dev.txt" if dev else "requirements.txt"
    print(f"Installing the packages of {name}; about 0.3 GB to download the first time", flush=True)
    pip(venv, ["install", "-r", str(ROOT / name)])
    if has_amx() and uses_amx(python):
        print("Building llama.cpp anew: the build that was kept cannot work on this processor", flush=True)
        pip(venv, ["install", "--force-reinstall", "--no-deps", "--no-cache-dir", requirement("llama-cpp-python==")])


def say_and_install_torch(venv: Path, python: Path) -> None:
    """Install PyTorch before everything else, so that nothing draws in the build with CUDA unasked."""
    torch = requirement("torch==")
    options: list[str] = []
    if has_gpu():
        print(f"Installing {torch} with CUDA for the NVIDIA GPU of this machine; about 2.7 GB to download", flush=True)
    elif answers(TORCH_CPU_INDEX):
        print(f"Installing {torch}, the build without CUDA; about 0.2 GB to download", flush=True)
        options = ["--index-url", TORCH_CPU_INDEX]
    elif brings_cuda(python, torch):
        print(
            f"Installing {torch}. PyTorch's own index of builds without CUDA cannot be reached, and the one that can "
            "brings NVIDIA's libraries, which this machine has no use for: about 2.7 GB to download. Press Ctrl-C to "
            "stop; with the build for processors (its version ends in +cpu) in a folder, set PIP_FIND_LINKS to that.",
            flush=True,
        )
    else:
        print(f"Installing {torch}, the build without CUDA, from the package index of this machine", flush=True)
    # Without dependencies: those come, in their pinned versions, with everything else.
    pip(venv, ["install", "--no-deps", *options, torch])


def requirement(beginning: str) -> str:
    """The line of the requirements that begins so."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(beginning))


def has_amx() -> bool:
    """Whether the compiler would use the tiles of AMX when it builds for this processor."""
    try:
        return " amx_tile " in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def uses_amx(python: Path) -> bool:
    """Whether the installed llama.cpp does; maybe it was built before, and kept by pip."""
    code = "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"
    ended = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True)
    return "AMX_INT8 = 1" in ended.stdout


def build_environment() -> dict[str, str]:
    """The environment for pip, in which it builds what comes as source."""
    if not has_amx():
        return dict(os.environ)
    flags = {name: f"{os.environ.get(name, '')} {WITHOUT_AMX}".strip() for name in ("CFLAGS", "CXXFLAGS")}
    return {**os.environ, **flags}


def has_torch(python: Path) -> bool:
    """Whether the pinned version is installed, in whichever build."""
    code = "import importlib.metadata as m; print('torch==' + m.version('torch').split('+')[0])"
    ended = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True)
    return ended.stdout.strip() == requirement("torch==")


def brings_cuda(python: Path, torch: str) -> bool:
    """Whether the build that pip would choose wants NVIDIA's libraries."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--report", "-", torch]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        wants = json.loads(ended.stdout)["install"][0]["metadata"].get("requires_dist", [])
    except (ValueError, KeyError, IndexError):
        return False  # pip will say what is wrong when it really installs
    return any(name.startswith(("nvidia", "cuda")) for name in wants)


def has_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def answers(address: str) -> bool:
    """Whether an address answers soon; in a thread, because looking up its name may hang for half a minute."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(address, timeout=ANSWER_SECONDS):
                answered.set()
        except (OSError, ValueError, HTTPException):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return answered.is_set()


def works(python: Path) -> bool:
    """Whether an environment is there and starts: it does not after its folder or its Python has moved."""
    if not python.exists():
        return False
    return subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0


def pip(venv: Path, arguments: list[str]) -> None:
    """Run pip with its output in a log and its stage on the screen. Raises CalledProcessError."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
    command += [*arguments, "--progress-bar", "off"]
    with (venv / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=build_environment()
        )
    with process, (venv / LOG).open(encoding="utf-8", errors="replace") as words:
        follow(process, words)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def follow(process: subprocess.Popen[bytes], words: TextIO) -> None:
    """Say which stage pip is in, while it runs: with a clock on a terminal, once for each stage in a log."""
    terminal, stage, began = sys.stdout.isatty(), "", time.monotonic()
    while process.poll() is None:
        time.sleep(0.5)
        new = stage
        for line in words:
            new = next((stage for pattern, stage in STAGES if pattern.match(line)), new)
        if terminal and new:
            print(f"\r\033[K  {new} ({clock(time.monotonic() - began)})", end="", flush=True)
        elif new != stage:
            print(f"  {new}", flush=True)
        stage = new
    if terminal:
        print("\r\033[K", end="", flush=True)


def wanted_stamp(dev: bool) -> dict[str, str]:
    """What an up-to-date environment is made from: this Python and the content of the requirements."""
    names = ["requirements.txt", *(["requirements-dev.txt"] if dev else [])]
    hashes = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in names}
    return {"python": sys.version} | hashes


def read_stamp(venv: Path) -> dict[str, str]:
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def explain(error: subprocess.CalledProcessError, venv: Path) -> str:
    """What failed, the end of pip's own words, and what may help."""
    log = venv / LOG
    words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:] if log.exists() else []
    return "\n".join(
        [
            *(f"    {line}" for line in words),
            f"The packages could not be installed ({error.cmd[1:4]} ended with {error.returncode}).",
            f"pip's whole output is in {log}. Check the network connection and the free space, then run make again:",
            "what has been downloaded is kept.",
        ]
    )


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nStopped. What has been downloaded is kept; run make again to go on.")
