"""From a file to its document: the reader child first, then text recognition of the pages that need it, one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import BadUpload, NoText
from core.storage.db import translated
from core.types import Document
from ingest import sandbox
from ingest.loaders.draft import listed
from ingest.ocr.engine import HOW_TO_INSTALL, Engine, Recognised, find_engine
from ingest.ocr.merge import LEAST_CONFIDENCE, with_recognised
from ingest.ocr.process import recognise


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """Limits of the reader, for the file and for each page; `languages` as GROUNDWORK_OCR_LANGUAGES takes them."""

    seconds: float = 120.0
    memory_mb: int = 1024
    page_seconds: float = 60.0
    languages: str = ""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What recognition has read of a document, page by page.

    `finished` gives the pages that an engine of this name read in an earlier attempt, `keep` is called with each page
    as soon as it is read, and `report` with how many are done of how many: so work goes on at the last finished page.
    """

    finished: Callable[[str], Mapping[int, Recognised]] = lambda _engine: {}
    keep: Callable[[str, int, Recognised], None] = lambda _engine, _number, _page: None
    report: Callable[[int, int], None] = lambda _done, _total: None


def read(
    path: Path,
    name: str,
    options: ReadingOptions,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    recognition: Recognition | None = None,
) -> Document:
    """Read a file, scans and pictures included. No limit of time covers all pages of a scan, but one each page.

    Raises BadUpload (also UnknownType, NoText), Cancelled, SettingsError for languages that are not installed,
    StorageFull and MachineBusy when there is no room for it now.
    """
    document = sandbox.parse(path, name, seconds=options.seconds, memory_mb=options.memory_mb, cancelled=cancelled)
    if not document.pictures:
        return document
    engine = find_engine(options.languages)
    if engine is None:
        return _without(document, name)
    wanted = document.pictures
    found = _recognised(path, name, wanted, engine, options, cancelled, recognition or Recognition())
    merged = with_recognised(document, found)
    if not merged.text.strip():
        raise NoText(_nothing(name, found, wanted, engine))
    return replace(merged, warnings=(*merged.warnings, *_warnings(merged, found, wanted)))


def _recognised(
    path: Path,
    name: str,
    wanted: Sequence[int],
    engine: Engine,
    options: ReadingOptions,
    cancelled: Callable[[], bool],
    recognition: Recognition,
) -> dict[int, Recognised]:
    found = {number: page for number, page in recognition.finished(engine.name).items() if number in wanted}
    refused: BadUpload | None = None
    for number in wanted:
        if number in found:
            continue
        recognition.report(len(found), len(wanted))
        with translated(Path(tempfile.gettempdir()) / "picture"), tempfile.TemporaryFile() as picture:
            try:
                sandbox.draw(
                    path, name, number, picture, seconds=options.page_seconds, memory_mb=options.memory_mb,
                    cancelled=cancelled,
                )  # fmt: skip
            except BadUpload as error:
                refused = error
                continue
            page = recognise(picture, engine, seconds=options.page_seconds, cancelled=cancelled)
        if page is not None:
            found[number] = page
            recognition.keep(engine.name, number, page)
    if refused is not None and not found and len(wanted) == 1:
        raise refused
    recognition.report(len(wanted), len(wanted))
    return found


def _without(document: Document, name: str) -> Document:
    """What can be had without recognition. Raises NoText when that is nothing."""
    if not document.text.strip():
        raise NoText(
            f"{name} holds pictures but no text, and text recognition (OCR) is not installed. {HOW_TO_INSTALL}."
        )
    pages = _pages(document.pictures)
    warning = f"{pages} {'is a picture' if len(document.pictures) == 1 else 'are pictures'}, or hold no readable text, "
    return replace(
        document, warnings=(*document.warnings, f"{warning}and text recognition is not installed. {HOW_TO_INSTALL}.")
    )


def _nothing(name: str, found: Mapping[int, Recognised], wanted: Sequence[int], engine: Engine) -> str:
    if len(found) < len(wanted):
        return f"{name} could not be read by text recognition: {engine.name} failed. Scan or save it anew."
    return (
        f"{name} holds pictures, and text recognition ({engine.name}) found no text in them. "
        "Use a sharper scan, or install its language."
    )


def _warnings(document: Document, found: Mapping[int, Recognised], wanted: Sequence[int]) -> list[str]:
    warnings = []
    failed = [number for number in wanted if number not in found]
    if failed:
        warnings.append(f"{_pages(failed)} could not be read by text recognition.")
    texts = {page.number: document.text[page.start : page.end] for page in document.pages}
    empty = [number for number in wanted if number in found and not texts[number].strip()]
    if empty:
        warnings.append(f"{_pages(empty)} {'is a picture' if len(empty) == 1 else 'are pictures'} without text.")
    unsure = [
        page.number for page in document.pages if page.confidence is not None and page.confidence < 2 * LEAST_CONFIDENCE
    ]
    if unsure:
        warnings.append(f"{_pages(unsure)} could be read only with doubts: check what is quoted from there.")
    return warnings


def _pages(numbers: Sequence[int]) -> str:
    return f"{'Page' if len(numbers) == 1 else 'Pages'} {listed(numbers)}"
