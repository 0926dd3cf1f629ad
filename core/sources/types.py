"""Sources as lists show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

WEB, FOLDER = "web", "folder"

DEEPEST = 10
SHORTEST_INTERVAL = 15  # minutes between two looks at a site
LONGEST_INTERVAL = 60 * 24 * 365


class SourceState(StrEnum):
    """What is going on with a source."""

    waiting = "waiting"  # for its next look, which is due
    looking = "looking"
    followed = "followed"  # all that is known is in; it is looked at again by itself
    done = "done"  # all that is known is in; it is looked at when somebody says so
    paused = "paused"
    failed = "failed"


class ItemState(StrEnum):
    """Where a page or file is; `present` ones have a document, unless somebody deleted it."""

    queued = "queued"
    present = "in"
    refused = "refused"
    alias = "alias"  # another address of a page
    gone = "gone"  # no longer there; its document goes when that is confirmed


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """Pages or files of a source: all that are known, and those whose documents are found, read now, or failed.

    `deleted` are those whose document somebody deleted: they stay out until they change.
    """

    known: int = 0
    found: int = 0
    busy: int = 0
    failed: int = 0
    refused: int = 0
    gone: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A web address or folder. `done` of `total` are pages or files of the look that is under way."""

    id: str
    kind: str
    address: str
    depth: int
    within: str
    collection_id: str | None
    collection: str
    interval_minutes: int
    state: SourceState
    error: str
    done: int
    total: int
    looked_at: datetime | None
    next_at: datetime | None
    created_at: datetime
    counts: SourceCounts

    @property
    def active(self) -> bool:
        return self.state in (SourceState.waiting, SourceState.looking)


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One page or file with what is wrong with it, if anything."""

    address: str
    state: ItemState
    error: str
    document_id: str | None
    gone_at: datetime | None
