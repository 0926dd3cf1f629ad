"""The command line: ask, evaluate, models, calibrate, replay, fsck. Every command can print JSON for programs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from core import replay_command, services
from core.chat import calibrate
from core.chat.verdicts import to_row
from core.errors import GroundworkError, from_code
from core.evaluation import command as evaluation
from core.fsck import Fsck
from core.models import command
from core.readiness import wait_until_ready
from core.services import Services
from core.settings import Settings, load
from core.types import Cited, Done, Failed, Retrieved, Scope, Token


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 is success, 1 a finding or failure, 2 a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace, Settings], int] = options.run
        return run(options, load())
    except GroundworkError as problem:
        if getattr(options, "json", False):
            print(json.dumps({"error": {"code": problem.code, "message": str(problem)}}, ensure_ascii=False))
        print(f"groundwork: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("groundwork: stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description="Groundwork on the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    ask = commands.add_parser("ask", help="answer one question from the documents")
    ask.add_argument("question")
    ask.add_argument("--collection", metavar="NAME", help="ask only this collection")
    ask.add_argument("--json", action="store_true", help="print answer, citations and timings as JSON")
    ask.set_defaults(run=_ask)

    models = commands.add_parser("models", help="list, fetch, verify or remove models")
    command.configure(models)
    models.set_defaults(run=command.run)

    calibration = commands.add_parser("calibrate", help="fit how sure answers are on a run of test questions")
    calibrate.configure(calibration)
    calibration.set_defaults(run=calibrate.run)

    replay_command.configure(commands.add_parser("replay", help="make a stored answer again, with a change or none"))

    evaluate = commands.add_parser("evaluate", help="measure search and answers on questions with known answers")
    evaluation.configure(evaluate)
    evaluate.set_defaults(run=evaluation.run)

    fsck = commands.add_parser("fsck", help="compare files, rows, vectors and index with each other")
    fsck.add_argument("--json", action="store_true")
    fsck.add_argument("--repair", action="store_true", help="repair what can be repaired")
    fsck.set_defaults(run=_fsck)
    return parser


# --- ask -------------------------------------------------------------------------------------------------


def _ask(options: argparse.Namespace, settings: Settings) -> int:
    live = services.build(settings)
    try:
        with live.with_model_server():
            wait_until_ready(live)
            return _answer(live, options)
    finally:
        live.release()


def _answer(live: Services, options: argparse.Namespace) -> int:
    user = live.accounts.who()
    collection = None
    if options.collection:
        collection = live.documents.find_collection(options.collection, owner_id=user.id)
    if service := live.endpoints.active():
        print(f"groundwork: {service.destination}", file=sys.stderr)
    began, first = time.monotonic(), None
    turn = live.turns.ask_once(options.question, Scope(user.id, collection))
    seen = 0
    while turn.active or seen < len(turn.events):
        turn.wait(seen, 0.2)
        for event in turn.events[seen:]:
            if isinstance(event, Token):
                first = first or time.monotonic() - began
        _show_stage(turn.stage() if turn.active else "")
        seen = len(turn.events)
    found: dict[type, Any] = {type(event): event for event in turn.events}
    if Failed in found:
        raise from_code(found[Failed].code, found[Failed].message)
    cited: Cited = found[Cited]
    if options.json:
        usage = asdict(found[Done].usage)
        timings = {"first_token": round(first or 0, 3), "total": round(time.monotonic() - began, 3)}
        body = {
            "question": options.question,
            "answer": cited.text,
            "ai_generated": True,
            "citations": [asdict(citation) for citation in cited.citations],
            "verdict": to_row(cited),
            "passages": [asdict(replace(passage, section="")) for passage in found[Retrieved].passages],
            "usage": usage,
            "timings": timings,
        }
        print(json.dumps(body, ensure_ascii=False, indent=2))
        return 0
    print(cited.text + "\n")
    for citation in cited.citations:
        page = f", page {citation.page}" if citation.page else ""
        print(f"[{citation.number}] {citation.document_title}{page}: “{' '.join(citation.quote.split())}”")
    return 0


def _show_stage(stage: str) -> None:
    """What is being done, on the terminal's last line; nothing where nobody looks."""
    if sys.stderr.isatty():
        sys.stderr.write("\r" + stage.ljust(70)[:70] + ("" if stage else "\r"))
        sys.stderr.flush()


# --- fsck ------------------------------------------------------------------------------------------------


def _fsck(options: argparse.Namespace, settings: Settings) -> int:
    live = services.build(settings)
    try:
        findings = Fsck(live.db, live.files, live.jobs, live.index).run(repair=options.repair)
    finally:
        live.release()
    left = [finding for finding in findings if not finding.repaired]
    if options.json:
        print(json.dumps({"clean": not findings, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            print(f"{finding.check}: {finding.detail}{' (repaired)' if finding.repaired else ''}")
        print("clean" if not findings else f"{len(left)} to repair, {len(findings) - len(left)} repaired")
    return 1 if left else 0
