"""What a search looks through, what it finds, and what an answer cites."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents a question may see: the owner's, narrowed to a collection or to single documents."""

    owner_id: str
    collection_id: str | None = None
    document_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk found for a question; `rank` starts at 1, scores are None where that search did not find it.

    `context` is what the text cannot be understood without, such as the header of its table. `section` is the text
    around the chunk, from the offset `section_start` on; both are empty where only the place was kept. `kept` are the
    parts that a model was shown, as offsets into the document's text; empty: all of it.
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


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a claim of the answer comes from.

    `number` is the [n] in the answer and the place of the passage in the prompt; `start` and `end` are offsets
    of the quoted words in the document's text; `support` is the share of the claim's content words that the
    quote holds, from 0 to 1.
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
