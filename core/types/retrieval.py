"""What a search looks through, what it finds, and what an answer cites."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents a question may see: the owner's, narrowed by everything else that is given.

    `languages` are codes of ISO 639-1. A document was changed, else written, else added at `since` or later and before
    `until`, as lists of documents are filtered.
    """

    owner_id: str
    collection_id: str | None = None
    document_ids: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrowed(self) -> bool:
        """Whether it leaves out any of the owner's documents."""
        return self != Scope(self.owner_id)


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
