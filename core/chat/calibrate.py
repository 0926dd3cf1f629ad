"""`python -m core calibrate`: fit the confidence of answers on a run over questions with and without an answer."""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.chat.confidence import OWN, Calibration, Judged, fit, save
from core.errors import SettingsError
from core.settings import Settings
from core.types import InnerState

MOST_BYTES = 200_000_000
SHAPE = "It has to hold a list `items` of answers, each with `signals`, `answerable` and `right`."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_file", type=Path, metavar="FILE", help="what `evaluate answers … --out FILE` wrote")
    parser.add_argument("--name", default="", help="what it is fitted on, as pages show it; default: the file's name")
    parser.add_argument("--collection", metavar="ID", help="for this collection alone, by its id; default: for all")
    parser.add_argument("--out", type=Path, help="write it there instead of putting it to use")
    parser.add_argument("--json", action="store_true", help="print the calibration as JSON")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Fit, write and say how good it is. Raises SettingsError for a file that is no run."""
    if options.collection and not re.fullmatch(r"[0-9a-f]{32}", options.collection):
        raise SettingsError("That is no id of a collection. GET /api/v1/collections tells the ids.")
    own = settings.calibrations / (f"{options.collection}.json" if options.collection else OWN)
    made = fit(list(judged(options.run_file)), name=options.name or options.run_file.stem)
    save(made, options.out or own)
    sys.stdout.write((json.dumps(made.as_dict(), indent=1) if options.json else in_words(made)) + "\n")
    return 0


def judged(path: Path) -> Iterator[Judged]:
    """The answers of a run. Raises SettingsError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SettingsError(f"{path.name} is too large to be a run of questions.")
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path.name} cannot be read as JSON. {SHAPE}") from error
    items = stored.get("items") if isinstance(stored, Mapping) else stored
    if not isinstance(items, list):
        raise SettingsError(f"{path.name} is no run of questions. {SHAPE}")
    for item in items:
        yield _judged(item, path.name)


def in_words(made: Calibration) -> str:
    """How good it is, for the terminal."""
    answered = next((point for point in reversed(made.curve) if point.threshold >= made.point), None)
    share = f", {answered.coverage:.0%} of the questions with {answered.risk:.0%} of them wrong" if answered else ""
    return (
        f"Fitted on {made.questions} questions of {made.fitted_on}: AUROC {made.auroc:.3f} on other subjects. "
        f"Answers from {made.point:.2f} on{share}."
    )


def _state(inner: Any) -> InnerState:
    asked, said = (base64.b64decode(inner[part], validate=True) for part in ("asked", "said"))
    if len(asked) != len(said) or len(asked) % 2:
        raise ValueError("both are 16-bit numbers, the same many")
    return InnerState(str(inner["model"]), asked, said)


def _judged(item: Any, name: str) -> Judged:
    try:
        question = item.get("question")
        answerable = question["answerable"] if isinstance(question, Mapping) else item["answerable"]
        signals = {str(key): float(value) for key, value in item["signals"].items()}
        # What the model wrote, also where it was held back: else every fit would hold back more than the one before.
        right = item.get("draft_right", item["right"])
        passages, inner = item.get("passages"), item.get("inner_state")
        subject = str(passages[0]["document_title"]) if passages else ""
        state = _state(inner) if inner else None
        return Judged(signals, bool(answerable), bool(right) and bool(answerable), state, subject)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"{name} is no run of questions. {SHAPE}") from error
