"""What a search looks through, what it finds, and what an answer cites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Filters:
    """Which kinds of documents a question sees; what is empty leaves none out.

    `languages` are codes of ISO 639-1. Of `tags` a document has at least one. It was changed, else written, else added
    at `since` or later and before `until`, as lists of documents are filtered.
    """

    media_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def number(self) -> int:
        """How many of them leave something out."""
        return sum(map(bool, (self.media_types, self.languages, self.tags, self.since, self.until)))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what is empty is not in it."""
        lists = {"media_types": self.media_types, "languages": self.languages, "tags": self.tags}
        moments = {"since": self.since, "until": self.until}
        chosen: dict[str, Any] = {name: list(values) for name, values in lists.items() if values}
        return chosen | {name: moment.isoformat() for name, moment in moments.items() if moment}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The same from JSON. Raises ValueError and TypeError for moments that are none."""
        media_types, languages, tags = (
            tuple(map(str, stored.get(name, ()))) for name in ("media_types", "languages", "tags")
        )
        since, until = (
            datetime.fromisoformat(stored[name]) if stored.get(name) else None for name in ("since", "until")
        )
        return cls(media_types, languages, tags, since, until)


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents a question may see: the owner's, narrowed by everything else that is given."""

    owner_id: str
    collection_id: str | None = None
    document_ids: tuple[str, ...] = ()
    filters: Filters = NO_FILTERS

    @property
    def narrowed(self) -> bool:
        """Whether it leaves out any of the owner's documents."""
        return self != Scope(self.owner_id)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the owner; what is empty is not in it."""
        parts = {
            "collection_id": self.collection_id, "document_ids": list(self.document_ids),
            "filters": self.filters.as_dict(),
        }  # fmt: skip
        return {name: part for name, part in parts.items() if part}

    @classmethod
    def from_dict(cls, owner_id: str, stored: Mapping[str, Any]) -> Self:
        """The same from JSON, for its owner."""
        documents = tuple(map(str, stored.get("document_ids", ())))
        return cls(owner_id, stored.get("collection_id"), documents, Filters.from_dict(stored.get("filters", {})))


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk found for a question; `rank` starts at 1, scores are None where that search did not find it.

    `score` is what decided. `fused_score` is that of the first stage, which joins both searches; `evidence` has what
    the second one looked at, by name and each about from 0 to 1; `rerank_score` is a CrossEncoder's, where one is
    installed. `why` says for people what spoke for the passage. `context` is what the text cannot be understood
    without, such as the header of its table. `section` is the text around the chunk, from the offset `section_start`
    on; both are empty where only the place was kept. `kept` are the parts that a model was shown, as offsets into the
    document's text; empty: all of it. `changed`: the document was read again since and says something else there; the
    text is empty then.
    """

    chunk_id: int
    document_id: str
    document_title: str
    text: str
    start: int
    end: int
    page: int | None
    heading: str
    rank: int
    score: float
    dense_score: float | None = None
    keyword_score: float | None = None
    context: str = ""
    section: str = ""
    section_start: int = 0
    kept: tuple[tuple[int, int], ...] = ()
    fused_score: float | None = None
    rerank_score: float | None = None
    evidence: tuple[tuple[str, float], ...] = ()
    why: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a claim of the answer comes from.

    `number` is the [n] in the answer and the place of the passage in the prompt; `start` and `end` are offsets
    of the quoted words in the document's text; `support` is the share of the claim's content words that the
    quote holds, from 0 to 1. `changed`: the document was read again since and says something else there; the quote is
    empty then.
    """

    number: int
    document_id: str
    document_title: str
    page: int | None
    heading: str
    quote: str
    start: int
    end: int
    support: float
    changed: bool = False
