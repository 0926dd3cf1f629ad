"""The programs that recognise text: one process for each page, which gets grey pixels and nothing else.

Tesseract is the default: it comes from the distribution, with the languages that people choose there. RapidOCR is
used where it is installed and Tesseract is not; it needs eight times as long.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal

from core.errors import SettingsError

MOST_LANGUAGES = 3  # each takes its time on every word
HOW_TO_INSTALL = (
    "Install Tesseract (Debian, Ubuntu: apt install tesseract-ocr; macOS: brew install tesseract) and try again"
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """The text of a page, and how sure recognition is of it, from 0 to 1."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Engine:
    """How to start recognition: `command` reads a PGM from stdin and writes `form` to stdout."""

    name: str
    command: tuple[str, ...]
    form: Literal["tsv", "json"]
    memory_mb: int = 1024


def find_engine(languages: str = "") -> Engine | None:
    """What is installed, or None. `languages` are Tesseract's names, such as "eng+deu"; empty: those installed.

    Raises SettingsError for a language that is not installed.
    """
    program = shutil.which("tesseract")
    if program:
        chosen = _chosen(languages, installed_languages(program))
        command = (program, "stdin", "stdout", "--psm", "3", "-l", chosen, "tsv")
        return Engine(f"Tesseract ({chosen})", command, "tsv")
    if find_spec("rapidocr") is not None:
        # It reserves more addresses than it uses: 0.8 GB of memory in 1.4 GB.
        return Engine("RapidOCR", (sys.executable, "-P", "-s", "-m", "ingest.ocr.rapid"), "json", memory_mb=2048)
    return None


def _chosen(languages: str, installed: Sequence[str]) -> str:
    wanted = [name.strip() for name in languages.replace(",", "+").split("+") if name.strip()]
    missing = [name for name in wanted if name not in installed]
    if missing:
        raise SettingsError(
            f"GROUNDWORK_OCR_LANGUAGES names {', '.join(missing)}, which Tesseract does not have. "
            f"Installed: {', '.join(installed)}; others come as tesseract-ocr-<language>."
        )
    usual = sorted(installed, key=lambda name: (name != "eng", name))[:MOST_LANGUAGES]
    return "+".join(wanted or usual) or "eng"


@cache
def installed_languages(program: str) -> tuple[str, ...]:
    """The languages of a Tesseract; `osd`, which is none, aside."""
    shown = subprocess.run([program, "--list-langs"], capture_output=True, text=True, timeout=30, check=False)
    return tuple(name for name in shown.stdout.split("\n")[1:] if name.strip() and name not in ("osd", "equ"))


def from_tsv(table: str) -> Recognised:
    """Tesseract's words: lines and paragraphs as it sees them, confidence weighted by letters."""
    text, place, sure, letters = "", ("", "", ""), 0.0, 0
    for row in csv.DictReader(table.split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE):
        word = (row.get("text") or "").strip()
        if not word or row.get("level") != "5":
            continue
        now = (row["block_num"], row["par_num"], row["line_num"])
        gap = " " if now == place else "\n" if now[:2] == place[:2] else "\n\n"
        text += (gap if text else "") + word
        place = now
        sure += max(0.0, float(row["conf"])) * len(word)
        letters += len(word)
    return Recognised(text, sure / letters / 100 if letters else 0.0)
