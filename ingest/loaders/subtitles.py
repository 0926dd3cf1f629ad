"""Subtitles (SRT and WebVTT): what is said, as pages of one minute that are labelled with their time.

Read here and not by a library: those at hand drop who speaks, lines that end with a number, or take notes for speech.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.types import Document
from ingest.loaders.clean import clean
from ingest.loaders.decode import decode
from ingest.loaders.draft import Draft
from ingest.loaders.textkinds import SRT

MINUTE = 60
_TIMES = re.compile(
    r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,]\d{1,3}[ \t]*-->[ \t]*(?:\d{1,4}:)?\d{1,2}:\d{2}[.,]\d{1,3}.*"
)
_VOICE = re.compile(r"<v(?:\.[^ >\t]*)?[ \t]+([^>]{1,100})>")
_TAGS = re.compile(r"</?[a-zA-Z0-9:.][^<>\n]{0,100}>|\{\\[^{}\n]{0,100}\}")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": ""}
_ENTITY = re.compile("|".join(_ENTITIES))


@dataclass(frozen=True, slots=True)
class SubtitleLoader:
    """Subtitles of films and recordings."""

    media_type: str
    version: int = 1
    library: str | None = "charset-normalizer"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        draft = Draft(name)
        minute, said = -1, list[str]()
        for seconds, lines in _cues(clean(decoded.text), numbered=self.media_type == SRT):
            if seconds // MINUTE != minute and said:
                _end_page(draft, minute, said)
            minute = seconds // MINUTE
            # Captions of live speech scroll: each shows the line before again.
            said.extend(line for line in lines if line not in said[-2:])
        if said:
            _end_page(draft, minute, said)
        return draft.document(self.media_type, metadata={"encoding": decoded.encoding}, warnings=decoded.warnings)


def _end_page(draft: Draft, minute: int, said: list[str]) -> None:
    draft.add_page("\n".join(said), number=len(draft.pages) + 1, label=f"{minute // 60}:{minute % 60:02}:00")
    said.clear()


def _cues(text: str, *, numbered: bool) -> Iterator[tuple[int, list[str]]]:
    """Second at which each cue begins, and its lines."""
    lines = [line.strip() for line in text.split("\n")]
    starts = [(place, times) for place, line in enumerate(lines) if "-->" in line and (times := _TIMES.fullmatch(line))]
    ends = [place for place, _ in starts[1:]] + [len(lines)]
    for (place, times), end in zip(starts, ends, strict=True):
        shown = lines[place + 1 : end]
        shown = _without_number(shown, more=end < len(lines)) if numbered else shown[: _end(shown)]
        hours, minutes, seconds = (int(part or 0) for part in times.groups())
        yield hours * 3600 + minutes * 60 + seconds, [line for raw in shown if (line := _plain(raw))]


def _without_number(lines: list[str], *, more: bool) -> list[str]:
    """The lines of an SRT cue without the number of the next one; some have empty lines inside."""
    return lines[:-1] if more and lines and lines[-1].isdecimal() else lines


def _end(lines: list[str]) -> int:
    """Where the text of a WebVTT cue ends: at the first empty line; names of cues and notes come after it."""
    return next((place for place, line in enumerate(lines) if not line), len(lines))


def _plain(line: str) -> str:
    line = _TAGS.sub("", _VOICE.sub(r"\1: ", line))
    return " ".join(_ENTITY.sub(lambda found: _ENTITIES[found[0]], line).split())
