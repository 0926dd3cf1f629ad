"""The end of an answer: how sure it is, and below the chosen point what was searched and what stands nearest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.chat.citations import MARKER, Checked, nearest
from core.chat.confidence import CALIBRATION, OWN, Calibration, load
from core.chat.phrases import ENGLISH, NARROWED, NOTHING, OFFERED, SEARCHED, language_of
from core.chat.signals import signals
from core.errors import SettingsError
from core.guard import visible
from core.types import Citation, Cited, InnerState, Passage, Way

log = logging.getLogger(__name__)

NOTHING_FOUND = NOTHING[ENGLISH]
NEAREST = 3  # passages that are offered
LONGEST_QUOTE = 240  # characters
NOT_FROM_DOCUMENTS = "Not from your documents, but from what the model knows:"


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides whether an answer is given as one. Without a calibration only the model's own abstention counts.

    `folder` has the calibrations that were fitted here: of all documents, and of collections by their ids. It is looked
    into for every question, so that a new one counts from the next answer on.
    """

    calibration: Calibration | None = None
    folder: Path | None = None

    @classmethod
    def shipped(cls, folder: Path | None = None) -> Judge:
        """With the calibration that ships. Without any, answers have no confidence, and nothing else is missing."""
        return cls(_found(CALIBRATION), folder)

    def of(self, collection_id: str | None) -> Judge:
        """The judge of a collection, or of all documents: with what was fitted for it here, where something was."""
        if self.folder is None:
            return self
        own = _found(self.folder / f"{collection_id}.json") if collection_id else None
        own = own or _found(self.folder / OWN)
        return Judge(own) if own else self

    def named(self, collection_id: str | None) -> str:
        """What answers over a collection, or over all documents, are judged by; "" without a calibration."""
        found = self.of(collection_id).calibration
        return found.name if found else ""

    def weighs(self, signal: str) -> bool:
        """Whether a signal counts in the calibration."""
        found = self.calibration.signals.get(signal) if self.calibration else None
        return found is not None and found.weight != 0

    @property
    def probes(self) -> bool:
        """Whether the model's inner state counts in the calibration."""
        return self.calibration is not None and bool(self.calibration.probes)

    def judge(
        self,
        query: str,
        passages: Sequence[Passage],
        checked: Checked,
        logprobs: Sequence[float],
        *,
        agreed: float = 0.5,
        inner: InnerState | None = None,
        narrowed: bool = False,
    ) -> Cited:
        """The answer with its confidence, or in its place the nearest passages; see `abstention` for `narrowed`."""
        found = signals(query, passages, checked, logprobs, agreed)
        sure = self.calibration.confidence(found, inner) if self.calibration else None
        sure = None if sure is None else round(sure, 4)
        unsure = self.calibration is not None and sure is not None and sure < self.calibration.point
        if unsure or (checked.abstains and not checked.claims):
            return abstention(query, passages, confidence=sure, draft=checked.text, signals=found, narrowed=narrowed)
        return Cited(
            checked.text, checked.citations, claims=checked.claims, unsupported=checked.unsupported, confidence=sure,
            signals=found,
        )  # fmt: skip


def _found(path: Path) -> Calibration | None:
    """The calibration of a file, if it is there and is one: answers do not wait until somebody has repaired it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, _size: int) -> Calibration | None:
    """Read a file once for each of its versions; one that is broken is told of once."""
    try:
        return load(path)
    except SettingsError as problem:
        log.warning("a calibration is passed over: %s", problem)
        return None


def abstention(
    query: str, passages: Sequence[Passage], *, confidence: float | None = None, draft: str = "",
    signals: dict[str, float] | None = None, narrowed: bool = False,
) -> Cited:  # fmt: skip
    """An answer that says what was searched for and offers the passages that stand nearest to it.

    `narrowed`: not all documents were asked, by the person's own choice, which may be why.
    """
    language = language_of(query)
    searched = f"{NOTHING[language]} {SEARCHED[language].format(' '.join(query.split()))}"
    if narrowed:
        searched += f" {NARROWED[language]}"
    offered: tuple[Citation, ...] = nearest(query, passages)[:NEAREST]
    lines = [f"- “{_short(citation.quote)}” [{citation.number}]" for citation in offered]
    text = "\n".join([f"{searched} {OFFERED[language]}\n", *lines]) if lines else searched
    numbers = tuple(citation.number for citation in offered)
    return Cited(
        text, offered, confidence=confidence, abstained=True, nearest=numbers, draft=draft, signals=signals or {}
    )  # fmt: skip


def general(text: str, abstained: Cited) -> Cited:
    """An answer from what the model knows, in the place of one that the documents do not hold."""
    return Cited(
        f"{NOT_FROM_DOCUMENTS}\n\n{text}", (), confidence=abstained.confidence, abstained=True, draft=abstained.draft,
        way=Way.general, signals=abstained.signals,
    )  # fmt: skip


def _short(quote: str) -> str:
    """A quotation in one line; brackets in it must not look like markers of ours."""
    line = " ".join(MARKER.sub("", visible(quote)).split())
    return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE].rsplit(" ", 1)[0] + " …"
