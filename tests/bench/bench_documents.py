"""What becomes of every real document of the evaluation data, through the shell, the worker and the reader child.

    python -m tests.bench.bench_documents [FOLDER…] [--out FILE]

Prints a table of types, counts and outcomes in Markdown, and then every file that was not taken in with its sentence.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from core.settings import ROOT, load
from tests.application import Application

EVALDATA = ROOT.parent / "shared" / "evaldata"
FOLDERS = [EVALDATA / "docs", EVALDATA / "docugami" / "sec-10-q" / "data" / "v1" / "docs"]
CHAT = "smollm2-135m-instruct-q4_1"  # nobody asks it anything
OUTCOMES = ("taken in", "with a warning", "no text in it", "refused")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, default=FOLDERS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not all(folder.exists() for folder in options.folders):
        print("../shared/evaldata is not here")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        app = Application(Path(folder) / "data", models=load().model_store, chat_model=CHAT)
        try:
            app.start().wait_ready(300)
            began = time.monotonic()
            found = added(app, options.folders)
            seconds = time.monotonic() - began
        finally:
            app.stop()
    print(table(found))
    print(f"\n{len(found)} files in {seconds:.0f} s\n")
    for one in found:
        if outcome(one) not in ("taken in", "with a warning"):
            print(f"{Path(one['path']).name}: {one['error']}")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0


def added(app: Application, folders: list[Path]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "ingest", "add", "--wait", "--json", *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, env=app.environment, stdout=subprocess.PIPE, text=True)
    return list(json.loads(done.stdout))


def table(found: list[dict[str, Any]]) -> str:
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        rows[ending(one["path"])][outcome(one)] += 1
    total = sum(rows.values(), Counter[str]())
    lines = [f"| ending | files | {' | '.join(OUTCOMES)} |", "|---" * (len(OUTCOMES) + 2) + "|"]
    ordered = sorted(rows.items(), key=lambda row: -sum(row[1].values()))
    for name, counts in [*ordered, ("**together**", total)]:
        cells = " | ".join(str(counts[one] or "") for one in OUTCOMES)
        lines.append(f"| {name} | {sum(counts.values())} | {cells} |")
    return "\n".join(lines)


def ending(path: str) -> str:
    suffix = Path(path).suffix.lower()
    return suffix if suffix[1:].isalnum() and len(suffix) < 7 else "none"


def outcome(one: dict[str, Any]) -> str:
    if one["status"] == "ready":
        return OUTCOMES[1] if one["receipt"].get("warnings") else OUTCOMES[0]
    return OUTCOMES[2] if "no text" in one["error"].lower() else OUTCOMES[3]


if __name__ == "__main__":
    sys.exit(main())
