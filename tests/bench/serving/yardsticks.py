"""The yardsticks: llama.cpp's own tools, built from the source archive of the llama-cpp-python that we use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.install import build_environment
from core.settings import load

TOOLS = ("llama-bench", "llama-batched-bench", "llama-server")
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_TOOLS=ON", "-DLLAMA_BUILD_SERVER=ON",
)  # fmt: skip


def folder() -> Path:
    """Where the tools are built: GROUNDWORK_YARDSTICKS, or in the data folder. Builds them if they are missing."""
    place = Path(os.environ.get("GROUNDWORK_YARDSTICKS") or load().data / "cache" / "yardsticks")
    tools = place / "build" / "bin"
    if not all((tools / tool).exists() for tool in TOOLS):
        build(place)
    return tools


def build(place: Path) -> None:
    """About ten minutes on 2 cores; needs cmake and a C++ compiler, as llama-cpp-python itself does."""
    place.mkdir(parents=True, exist_ok=True)
    wanted = f"llama-cpp-python=={version('llama-cpp-python')}"
    print(f"building llama.cpp's tools from the source archive of {wanted}", flush=True)
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-q", "-d", str(place), wanted]
    subprocess.run(pip, check=True)
    archive = next(place.glob("llama_cpp_python-*.tar.gz"))
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    source = place / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"
    configure = ["cmake", "-S", str(source), "-B", str(place / "build"), *OPTIONS]
    subprocess.run(configure, check=True, env=build_environment())
    made = ["cmake", "--build", str(place / "build"), "--parallel", str(os.cpu_count() or 1), "--target", *TOOLS]
    subprocess.run(made, check=True)


def llama_bench(tools: Path, model: Path, *, prompt: int, write: int, depth: int, threads: int) -> dict[str, float]:
    """Tokens a second of reading (`prompt`) and writing (`write`) behind `depth` tokens, one repetition."""
    command = [str(tools / "llama-bench"), "-m", str(model), "-t", str(threads), "-r", "1", "-o", "json"]
    command += ["-p", str(prompt), "-n", str(write), "-d", str(depth)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"prompt" if row["n_prompt"] else "write": float(row["avg_ts"]) for row in found}


def batched_bench(
    tools: Path, model: Path, *, streams: int, prompt: int, write: int, threads: int, cells: int
) -> dict[str, Any]:
    """What llama-batched-bench says of so many streams: seconds and speeds of reading, writing and both."""
    command = [str(tools / "llama-batched-bench"), "-m", str(model), "-t", str(threads), "-tb", str(threads)]
    command += ["-c", str(cells), "-npp", str(prompt), "-ntg", str(write), "-npl", str(streams)]
    command += ["-b", "2048", "-ub", "512", "-kvu", "--output-format", "jsonl"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(next(line for line in shown.splitlines() if line.startswith("{"))))
