"""Documents, their pieces, and the work on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document; `start` and `end` are character offsets into `Document.text`.

    `confidence` of a page that was read from its picture: from 0 to 1; None where the file itself holds the text.
    """

    number: int
    start: int
    end: int
    label: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `start` is the character offset of its line in `Document.text`."""

    level: int
    title: str
    start: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was written into the text as rows; `header` is the text of its header row."""

    start: int
    end: int
    header: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One source after loading. Every offset anywhere counts characters of `text`, which never changes.

    `metadata` has author, created and modified (ISO 8601) and source where the file tells them; `language` is a code
    of ISO 639-1, "" where it cannot be told. `pictures` are the numbers of pages that are pictures, or whose text is no
    good: text recognition has yet to read them. `instructions` are stretches that talk to a model instead of a reader
    (core/instructions.py) as (start, end, kind); None where nobody has looked for them.
    """

    title: str
    media_type: str
    text: str
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    tables: tuple[Table, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    parser: str = ""
    language: str = ""
    pictures: tuple[int, ...] = ()
    instructions: tuple[tuple[int, int, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document to be stored: `text == document.text[start:end]`.

    `context` is what the piece cannot be understood without, such as the header of its table: it is searched and
    embedded with the text. The section around it, which a model may read instead, is
    `document.text[section_start:section_end]`.
    """

    position: int
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str = ""
    context: str = ""
    section_start: int = 0
    section_end: int = 0


class DocumentStatus(StrEnum):
    """Where a document is on its way: only `searchable` and `ready` ones are found by questions."""

    queued = "queued"
    processing = "processing"
    searchable = "searchable"  # by keyword; vectors are still being made
    ready = "ready"
    failed = "failed"


class JobStatus(StrEnum):
    """Where a job is; the last three are final."""

    queued = "queued"
    running = "running"
    paused = "paused"  # by a person, until it is resumed
    done = "done"
    failed = "failed"
    cancelled = "cancelled"
