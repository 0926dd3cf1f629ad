"""`python -m ingest sources …`, `watch FOLDER` and `add https://…`: sources from the shell."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from core.sources.told import item_json, source_json
from core.sources.types import FOLDER, ItemState, Source, SourceState
from ingest.adding import Outcome
from ingest.presence import Presence
from ingest.sources.making import make_keeper
from ingest.sources.settle import settle

if TYPE_CHECKING:
    from core.services import Services

Commands = argparse._SubParsersAction  # argparse has no public name for it
LOOK_EVERY = 0.3
SAY_EVERY = 2.0
NOT_RUNNING = "Groundwork does not run now: it is read when it starts, or at once with --wait."
FOLLOWS_LATER = "Groundwork does not run now: the folder is followed while it does."


def is_address(path: str) -> bool:
    """Whether a word of the command line is a web address and not a path."""
    return path.lower().startswith(("http://", "https://"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """How much of a site `add` takes."""
    parser.add_argument("--depth", type=int, default=0, help="of a web address: follow links this often (0: one page)")
    parser.add_argument("--within", default="", metavar="PATH", help="of a web address: only pages below this path")
    parser.add_argument("--every", type=int, default=0, metavar="MINUTES", help="of a web address: look again")


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """The commands `watch` and `sources`."""
    watch = commands.add_parser("watch", help="follow a folder: new, changed and removed files")
    watch.add_argument("folder", metavar="FOLDER")
    watch.add_argument("--collection", metavar="NAME", help="put its files into this collection")
    sources = commands.add_parser("sources", help="web addresses and folders: list, look, pause, remove")
    actions = sources.add_subparsers(required=True, dest="action", metavar="ACTION")
    shown = {
        "list": "all of them", "items": "the pages or files of one, with what is wrong with each",
        "look": "look at one now", "pause": "stop following one", "resume": "go on following it",
        "cancel": "end the look that is under way", "remove": "forget one; its documents stay",
    }  # fmt: skip
    parsers = {name: actions.add_parser(name, help=text) for name, text in shown.items()}
    for name, parser in parsers.items():
        if name != "list":
            parser.add_argument("id", help="its id, or its address or folder")
    parsers["look"].add_argument("--wait", action="store_true", help="wait until the look is over")
    parsers["remove"].add_argument("--documents", action="store_true", help="its documents go too")
    for parser in (watch, *parsers.values()):
        parser.add_argument("--json", action="store_true", help="print JSON")


def watch_folder(live: Services, options: argparse.Namespace) -> int:
    owner_id = live.accounts.who().id
    home = live.documents.collection(options.collection, owner_id=owner_id) if options.collection else None
    folder = os.path.abspath(Path(options.folder).expanduser())
    source = live.sources.add_folder(folder, owner_id=owner_id, collection_id=home)
    if not Presence(live.settings.run).living():
        _say(FOLLOWS_LATER)
    return _print_one(source, as_json=options.json)


def add_addresses(live: Services, addresses: list[str], options: argparse.Namespace, home: str | None) -> list[Outcome]:
    """Add web pages. With --wait their looks are over, and there is an outcome for each document that they brought."""
    owner_id = live.accounts.who().id
    sources = [
        live.sources.add_site(
            address, owner_id=owner_id, depth=options.depth, within=options.within, interval_minutes=options.every,
            collection_id=home,
        )
        for address in addresses
    ]  # fmt: skip
    if options.wait:
        return [outcome for source in sources for outcome in _outcomes(live, _wait(live, source))]
    if sources and not Presence(live.settings.run).living():
        _say(NOT_RUNNING)
    return [Outcome(source.address, source.address, source.state.value) for source in sources]


def run_sources(live: Services, options: argparse.Namespace) -> int:
    owner_id = live.accounts.who().id
    if options.action == "list":
        found = live.sources.list_sources(owner_id=owner_id)
        return _print([source_json(source) for source in found], list(map(sentence, found)), as_json=options.json)
    source = _find(live, options.id)
    if options.action == "items":
        items = live.sources.items(source.id, owner_id=owner_id, limit=100_000)
        lines = [f"{item.state}  {item.address}" + (f": {item.error}" if item.error else "") for item in items]
        return _print([item_json(item) for item in items], lines, as_json=options.json)
    if options.action == "remove":
        live.sources.remove(source.id, owner_id=owner_id, with_documents=options.documents)
        gone = settle(live.db, live.documents) if not Presence(live.settings.run).living() else 0
        line = f"{source.address}: removed" + (f", and {gone:,} of its documents" if gone else "")
        return _print({"removed": source.id}, [line], as_json=options.json)
    call = {
        "look": live.sources.look, "pause": live.sources.pause, "resume": live.sources.resume,
        "cancel": live.sources.cancel,
    }[options.action]  # fmt: skip
    changed = call(source.id, owner_id=owner_id)
    if options.action == "look":
        changed = _wait(live, changed) if options.wait else changed
        if not options.wait and not Presence(live.settings.run).living():
            _say(NOT_RUNNING)
    return _print_one(changed, as_json=options.json)


def sentence(source: Source) -> str:
    """One line for people."""
    counts = source.counts
    kind = "files" if source.kind == FOLDER else "pages"
    facts = [f"{counts.known:,} {kind}"]
    words = ("found", "busy", "failed", "refused", "gone", "deleted")
    facts += [f"{number:,} {word}" for word in words if (number := getattr(counts, word))]
    error = f": {source.error}" if source.error else ""
    return f"{source.id}  {source.state}  {source.address} ({', '.join(facts)}){error}"


def _find(live: Services, name: str) -> Source:
    for source in live.sources.list_sources(owner_id=live.accounts.who().id):
        if name in (source.id, source.address) or os.path.abspath(name) == source.address:
            return source
    raise NotFound(f"There is no source {name}. `python -m ingest sources list` shows them.")


def _wait(live: Services, source: Source) -> Source:
    """Follow a look to its end; when no worker runs, look in this process."""
    stop, said = threading.Event(), 0.0
    ours = make_keeper(live.settings, live.db, stop)
    working = bool(Presence(live.settings.run).living())
    keeper = None if working or not ours.try_lock() else ours
    owner_id = live.accounts.who().id
    try:
        while (source := live.sources.get(source.id, owner_id=owner_id)).active:
            if keeper is not None:
                turn = keeper.turn_of_folders if source.kind == FOLDER else keeper.turn_of_sites
                turn()
            if time.monotonic() - said > SAY_EVERY and source.total:
                said = time.monotonic()
                _say(f"{source.address}: {source.done:,} of {source.total:,}")
            time.sleep(LOOK_EVERY)
    finally:
        if keeper is not None:
            keeper.release()
    return source


def _outcomes(live: Services, source: Source) -> list[Outcome]:
    """What became of each page of a site, and of the site itself when it brought nothing."""
    items = live.sources.items(source.id, owner_id=live.accounts.who().id, limit=100_000)
    found = [
        Outcome(item.address, item.address, item.state.value, item.document_id, error=item.error)
        for item in items
        if item.state != ItemState.alias
    ]
    return found or [Outcome(source.address, source.address, source.state.value, error=source.error)]


def _print_one(source: Source, *, as_json: bool) -> int:
    _print(source_json(source), [sentence(source)], as_json=as_json)
    return 1 if source.state == SourceState.failed else 0


def _print(values: Any, lines: list[str], *, as_json: bool) -> int:
    print(json.dumps(values, ensure_ascii=False, indent=2) if as_json else "\n".join(lines))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
