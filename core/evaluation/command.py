"""`python -m core evaluate retrieval|answers DATASET`: the whole measurement, unattended."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core import services
from core.errors import BadDataset
from core.evaluation.dataset import load_dataset
from core.evaluation.progress import Terminal
from core.evaluation.report import Report, table
from core.evaluation.run import ANSWERS, Spec, evaluate
from core.evaluation.runs import STOPPED
from core.installation import make_folder
from core.services import Services
from core.settings import Settings

SEED = 7
INTERRUPTED = 130  # what shells say of a command that Ctrl-C ended


def configure(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, dest="kind", metavar="WHAT")
    for kind, text in (
        ("retrieval", "whether search finds the texts that answer"),
        ("answers", "whether answers are right, cited, and honest about what is not there"),
    ):
        command = kinds.add_parser(kind, help=text)
        command.add_argument("dataset", type=Path, help="a folder with queries.jsonl, qrels.tsv and corpus.jsonl")
        command.add_argument("--documents", type=Path, metavar="FOLDER", help="real files instead of corpus.jsonl")
        command.add_argument("--limit", type=_positive, metavar="N", help="ask only N questions, the same every time")
        command.add_argument("--seed", type=int, default=SEED, help=f"of the choice and the intervals ({SEED})")
        command.add_argument("--json", action="store_true", help="print the report as JSON")
        command.add_argument("--out", type=Path, metavar="FILE", help="write the report with every question as JSON")
        if kind == ANSWERS:
            command.add_argument(
                "--plain", action="store_true", help="also ask a plain pipeline (BM25's best 3), and compare in pairs"
            )
            command.add_argument("--why", action="store_true", help="name the first broken link of each miss")
        command.add_argument("--fresh", action="store_true", help="take the corpus in anew")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """0 when all was measured, 130 when it was stopped: what was measured until then is printed."""
    if options.out is not None and not options.out.resolve().parent.is_dir():
        raise BadDataset(f"There is no folder {options.out.resolve().parent} to write {options.out.name} into.")
    dataset = load_dataset(options.dataset, options.documents)
    spec = Spec(
        options.kind, limit=options.limit, seed=options.seed, plain=getattr(options, "plain", False),
        fresh=options.fresh, why=getattr(options, "why", False),
    )  # fmt: skip
    main = services.build(settings)
    try:
        with _alone(main), main.with_model_server():
            report = evaluate(main, dataset, spec, Terminal())
    finally:
        main.release()
    _show(report, options)
    if report.state == STOPPED:
        print("groundwork: stopped; the figures are of the questions that were asked until then.", file=sys.stderr)
        return INTERRUPTED
    return 0


@contextmanager
def _alone(main: Services) -> Iterator[None]:
    """One command after the other: they would share a model server, which goes with the one that started it."""
    make_folder(main.settings.run)
    lock = FileLock(main.settings.run / "evaluate.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print("Another measurement goes on here; this one begins after it.", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _show(report: Report, options: argparse.Namespace) -> None:
    if options.out is not None:
        options.out.write_text(json.dumps(report.as_dict(items=True), ensure_ascii=False, indent=1), encoding="utf-8")
    if options.json:
        print(json.dumps(report.as_dict(items=False), ensure_ascii=False, indent=1))
    else:
        print(table(report))
    sys.stdout.flush()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("ask at least one question")
    return number
