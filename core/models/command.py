"""The command `models`: what the catalog has, fetching with a progress bar, and verifying by hash."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from core.errors import GroundworkError, ModelMissing
from core.models.catalog import FETCH_COMMAND, CatalogModel, find, installed_path, is_installed, load_catalog
from core.models.fetch import Progress, fetch, remove, verify
from core.settings import Settings, load

BAR = 28


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `models`."""
    commands = parser.add_subparsers(dest="models_command", required=True)
    listing = commands.add_parser("list", help="show every model and whether it is installed")
    listing.add_argument("--json", action="store_true", help="print JSON")
    fetching = commands.add_parser("fetch", help="download models and verify them")
    fetching.add_argument("id", nargs="*", help="default: the chat and the embedding model of the settings")
    fetching.add_argument("--again", action="store_true", help="verify what is there and replace what is damaged")
    verifying = commands.add_parser("verify", help="compare installed models with their hashes")
    verifying.add_argument("id", nargs="*", help="default: all that are installed")
    verifying.add_argument("--json", action="store_true", help="print JSON")
    removing = commands.add_parser("remove", help="delete models from the store")
    removing.add_argument("id", nargs="+")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do what `configure` parsed; return the exit code. Raises GroundworkError."""
    store = settings.model_store
    if args.models_command == "list":
        return _list(settings, as_json=args.json)
    if args.models_command == "remove":
        for model in [find(name) for name in args.id]:
            remove(model, store)
        return 0
    if args.models_command == "verify":
        known = [find(name) for name in args.id] or [m for m in load_catalog().values() if m.fetchable]
        chosen = known if args.id else [model for model in known if (store / model.file).exists()]
        return _verify(chosen, store, as_json=args.json)
    chosen = [find(name) for name in args.id or (settings.chat_model, settings.embedding_model)]
    for model in chosen:
        _fetch(model, store, again=args.again)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m core.models …`: the same commands without the rest of the command line."""
    parser = argparse.ArgumentParser(prog="python -m core.models", description=__doc__)
    configure(parser)
    try:
        return run(parser.parse_args(argv), load())
    except GroundworkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What has arrived is kept; the next try goes on from there.", file=sys.stderr)
        return 130


def _list(settings: Settings, *, as_json: bool) -> int:
    store, defaults = settings.model_store, (settings.chat_model, settings.embedding_model)
    models = load_catalog().values()
    if as_json:
        shown = ("id", "role", "title", "description", "licence", "bytes", "fetchable")
        rows = [
            {name: getattr(model, name) for name in shown}
            | {"installed": is_installed(model, store), "default": model.id in defaults}
            for model in models
        ]
        print(json.dumps(rows, indent=2))
        return 0
    for model in models:
        state = "installed" if is_installed(model, store) else ("" if model.fetchable else "by hand")
        size = f"{model.bytes / 1e6:,.0f} MB" if model.bytes else ""
        print(f"{model.id:<36} {model.role:<10} {size:>9}  {model.licence:<11} {state}".rstrip())
        print(f"    {model.description}")
    return 0


def _verify(models: Sequence[CatalogModel], store: Path, *, as_json: bool) -> int:
    rows = [{"id": model.id, "state": _state(model, store)} for model in models]
    if as_json:
        print(json.dumps(rows, indent=2))
    for row in [] if as_json else rows:
        advice = "" if row["state"] == "right" else f": {FETCH_COMMAND} {row['id']} --again"
        print(f"{row['id']:<36} {row['state']}{advice}")
    if not rows and not as_json:
        print(f"No models are installed in {store}.")
    return 0 if all(row["state"] == "right" for row in rows) else 1


def _state(model: CatalogModel, store: Path) -> str:
    try:
        return "right" if verify(model, store) else "damaged"
    except ModelMissing:
        return "missing"


def _fetch(model: CatalogModel, store: Path, *, again: bool) -> None:
    if again and is_installed(model, store) and not verify(model, store):
        remove(model, store)
    if is_installed(model, store):
        print(f"{model.title} is installed: {installed_path(model, store)}")
        return
    print(f"Fetching {model.title}, {model.bytes / 1e6:,.0f} MB, to {store}", flush=True)
    began = time.monotonic()
    fetch(model, store, progress=_Bar(), cancel=threading.Event())
    print(f"{model.title} is verified and installed, after {time.monotonic() - began:.0f} s.")


class _Bar:
    """A progress bar on a terminal; in a log, a line for every tenth."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._shown: tuple[str, int] | None = None

    def __call__(self, progress: Progress) -> None:
        steps = 500 if self._terminal else (10 if progress.phase == "downloading" else 1)
        place = (progress.phase, progress.done_bytes * steps // max(progress.total_bytes, 1))
        if place == self._shown:
            return
        self._shown = place
        if self._terminal:
            print("\r\033[K" + ("" if progress.phase == "done" else _line(progress)), end="", flush=True)
        elif progress.phase != "done":
            print(_line(progress), flush=True)


def _line(progress: Progress) -> str:
    filled = BAR * progress.done_bytes // max(progress.total_bytes, 1)
    amount = f"{progress.done_bytes / 1e6:,.0f} of {progress.total_bytes / 1e6:,.0f} MB"
    doing = {
        "waiting": "another process is fetching it",
        "downloading": f"from the {progress.source}",
        "verifying": "verifying",
        "done": "",
    }[progress.phase]
    return f"  [{'#' * filled}{'.' * (BAR - filled)}] {amount}, {doing}"
