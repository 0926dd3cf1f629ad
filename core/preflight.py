"""What this machine lacks to run Groundwork, said at once and before anything is installed.

Standard library alone, and nothing newer than Python 3.6 can read: an older Python has to reach its own sentence.
"""

import sys

if __name__ == "__main__":
    del sys.path[0]  # this folder: its types.py would hide Python's own

import argparse
import contextlib
import glob
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST_PYTHON = (3, 11)

# Measured on Debian 12 with the pinned requirements, rounded up. MODELS is what the fetcher needs at its peak.
GB = 1000 * 1000 * 1000
ENVIRONMENT = {"run": 2.6 * GB, "test": 3.1 * GB}
MODELS = {"run": 1.6 * GB, "test": 0.5 * GB}
BUILD = 0.6 * GB
MEMORY_NEEDED = {"run": 3 * GB, "test": 2 * GB}
MEMORY_WANTED = {"run": 4 * GB, "test": 4 * GB}

PROGRAM = "#include <vector>\nint main() { return (int) std::vector<int>().size(); }\n"


class Findings:
    """What is missing, what is only a pity, and what was found right; each one sentence."""

    def __init__(self) -> None:
        self.missing = []  # type: list[str]
        self.warnings = []  # type: list[str]
        self.good = []  # type: list[str]


def main(arguments: "list[str] | None" = None) -> int:
    """Check everything; return 1 when something is missing."""
    parser = argparse.ArgumentParser(description="Say what this machine lacks to run Groundwork.")
    parser.add_argument("--for", dest="purpose", choices=["run", "test"], default="run")
    purpose = parser.parse_args(arguments).purpose
    findings = Findings()
    check_python(findings)
    if not environment_is_ready():
        check_compiler(findings)
    check_disk(findings, purpose)
    check_memory(findings, purpose)
    check_folders(findings)
    check_readers(findings)
    if purpose == "run":
        check_port(findings)
    report(findings)
    return 1 if findings.missing else 0


def report(findings: Findings) -> None:
    """Print the findings, the missing things last, where the eye falls."""
    if findings.good:
        print("This machine: " + ", ".join(findings.good) + ".")
    for sentence in findings.warnings:
        print("Note: " + sentence)
    if findings.missing:
        print("Groundwork cannot start yet:", file=sys.stderr)
    for sentence in findings.missing:
        print("  - " + sentence, file=sys.stderr)


def environment_is_ready() -> bool:
    """Whether the set-up has finished once: then nothing has to be compiled any more."""
    return os.path.exists(os.path.join(venv_folder(), "groundwork.json"))


def venv_folder() -> str:
    return os.path.abspath(os.environ.get("VENV") or os.path.join(ROOT, ".venv"))


def data_folder() -> str:
    return os.path.abspath(os.path.expanduser(os.environ.get("GROUNDWORK_DATA") or os.path.join(ROOT, "data")))


def model_store() -> str:
    named = os.environ.get("GROUNDWORK_MODELS")
    return os.path.abspath(os.path.expanduser(named)) if named else os.path.join(data_folder(), "models")


def check_python(findings: Findings) -> None:
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        findings.missing.append(
            f"Python is {version}, and Groundwork needs 3.11 or newer. Debian 12 and Ubuntu 24.04 have it: "
            "sudo apt install python3 python3-venv; if it is installed beside this one: make run PYTHON=python3.11."
        )
    elif sys.maxsize < 2**32:
        findings.missing.append("This Python is a 32-bit program; the packages need a 64-bit one.")
    else:
        findings.good.append("Python " + version)
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        findings.missing.append(
            "Python cannot make virtual environments here. Install that part of it: sudo apt install python3-venv."
        )


def check_compiler(findings: Findings) -> None:
    """llama.cpp is compiled on this machine, for its processor: a C and a C++ compiler and make have to work."""
    tools = {
        "C compiler": (os.environ.get("CC"), "cc", "gcc", "clang"),
        "C++ compiler": (os.environ.get("CXX"), "c++", "g++", "clang++"),
        "make": ("make",),
    }
    found = {tool: first_program(names) for tool, names in tools.items()}
    lacking = [tool for tool, program in found.items() if not program]
    if lacking:
        findings.missing.append(
            f"There is no {' and no '.join(lacking)}, and llama.cpp is compiled on this machine. "
            "Install what is missing: sudo apt install g++ make."
        )
    elif not compiles(found["C++ compiler"]):
        findings.missing.append(
            f"The C++ compiler {found['C++ compiler']} cannot build a small program; its libraries may be missing. "
            "Install them: sudo apt install g++ make."
        )
    else:
        findings.good.append("a working C++ compiler")


def first_program(names: "tuple[str | None, ...]") -> str:
    for name in names:
        # CC may hold options after the program's name
        program = shutil.which(name.split()[0]) if name and name.split() else None
        if program:
            return program
    return ""


def compiles(compiler: str) -> bool:
    """Whether a small C++ program can be compiled and linked."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "small.cpp")
        with open(source, "w", encoding="ascii") as file:
            file.write(PROGRAM)
        command = [compiler, "-std=c++17", source, "-o", os.path.join(folder, "small")]
        try:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return ended.returncode == 0


def check_disk(findings: Findings, purpose: str) -> None:
    """Compare what is still to be installed with the free space, disk by disk."""
    wanted = []  # type: list[tuple[str, str, float]]
    if not environment_is_ready():
        wanted.append(("the Python packages", venv_folder(), ENVIRONMENT[purpose]))
        wanted.append(("compiling", tempfile.gettempdir(), BUILD))
    if not glob.glob(os.path.join(glob.escape(model_store()), "*.gguf")):
        wanted.append(("the models", model_store(), MODELS[purpose]))
    wanted.append(("documents", data_folder(), 0.2 * GB))
    disks = {}  # type: dict[int, list[tuple[str, str, float]]]
    for reason, folder, size in wanted:
        place = existing(folder)
        disks.setdefault(os.stat(place).st_dev, []).append((reason, place, size))
    for shares in disks.values():
        needed = sum(size for _, _, size in shares)
        free = shutil.disk_usage(shares[0][1]).free
        if free < needed:
            what = " and ".join(reason for reason, _, _ in shares)
            findings.missing.append(
                f"The disk of {shares[0][1]} has {free / GB:.1f} GB free; {what} need {needed / GB:.1f} GB. Free some "
                "space, or put them elsewhere with VENV, TMPDIR, GROUNDWORK_MODELS or GROUNDWORK_DATA."
            )
        else:
            findings.good.append(f"{free / GB:.0f} GB free on {shares[0][1]}")


def existing(folder: str) -> str:
    """The folder itself, or the nearest thing above it that exists."""
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def check_memory(findings: Findings, purpose: str) -> None:
    total = memory()
    if total is None:
        return
    wanted = f"The default model, the embedder and the pages want {MEMORY_WANTED[purpose] / GB:.0f} GB of memory"
    if total < MEMORY_NEEDED[purpose]:
        findings.missing.append(f"{wanted}, and this machine has {total / GB:.1f} GB: it would not start.")
    elif total < MEMORY_WANTED[purpose]:
        findings.warnings.append(
            f"{wanted}, and this machine has {total / GB:.1f} GB: it will be slow. A smaller model helps: "
            "GROUNDWORK_CHAT_MODEL=qwen2.5-coder-0.5b-instruct-q4_k_m."
        )
    else:
        findings.good.append(f"{total / GB:.0f} GB of memory")


def memory() -> "float | None":
    """Bytes of memory that this machine, or the container around us, has; None when nobody says."""
    sizes = []
    with contextlib.suppress(ValueError, OSError):
        sizes.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    # No container, or one without a limit, which reads "max".
    with contextlib.suppress(ValueError, OSError), open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
        sizes.append(float(file.read()))
    return min(sizes) if sizes else None


def check_folders(findings: Findings) -> None:
    folders = {"data folder": data_folder()}
    if not environment_is_ready():
        folders["virtual environment"] = venv_folder()
    for name, folder in folders.items():
        place = existing(folder)
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            variable = "GROUNDWORK_DATA" if name == "data folder" else "VENV"
            findings.missing.append(
                f"The {name} {folder} cannot be written to ({error.strerror}). Change the owner of {place}, "
                f"or choose another place with {variable}."
            )


def check_readers(findings: Findings) -> None:
    """Programs that read files give up the network, if the kernel lets them (ingest/parse.py does this first)."""
    if sys.platform != "linux":
        return
    leave = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000 | 0x40000000) != 0)"
    if subprocess.run([sys.executable, "-I", "-c", leave], stdin=subprocess.DEVNULL, check=False).returncode != 0:
        findings.warnings.append(
            "This kernel does not let a program give up the network (user namespaces are not allowed), so that those "
            "which read your files are kept from it by Python alone, and not by the kernel."
        )


def check_port(findings: Findings) -> None:
    named = os.environ.get("GROUNDWORK_PORT") or "8501"
    if not named.isdigit() or not 1 <= int(named) <= 65535:
        findings.missing.append(f"GROUNDWORK_PORT is {named}, which is no port. Choose one from 1024 to 65535.")
        return
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", int(named)))
        except PermissionError:
            findings.missing.append(
                f"Port {named} is reserved for the administrator. Choose another: make run GROUNDWORK_PORT=8501."
            )
        except OSError:
            findings.missing.append(
                f"Port {named} is in use, perhaps by a Groundwork that runs already. Stop that program, or choose "
                f"another port: make run GROUNDWORK_PORT={int(named) % 65535 + 1}."
            )
        else:
            findings.good.append(f"port {named} free")


if __name__ == "__main__":
    sys.exit(main())
