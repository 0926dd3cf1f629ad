"""From a document to chunks: where it has structure, it is cut there; else at sentences, lines and words.

The text becomes atoms (atoms.py) that are put together to chunks in the cheapest way (grouping.py). A chunk carries
the headings above it, the header of the table it begins in, and where the section around it is. Every character that
is not blank ends up in a chunk, and all that is embedded of a chunk fits into what the embedder reads.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from core.retrieval.store import embedded_text
from core.types import Chunk, Document, Page
from ingest.split.atoms import AtomCutter
from ingest.split.grouping import Atoms, group
from ingest.split.headings import HeadingPaths
from ingest.split.sections import Cut, Sections
from ingest.split.sizes import (
    BUDGET,
    CONTEXT_TOKENS,
    HEADING_TOKENS,
    LETTERS_PER_TOKEN,
    OVERLAP,
    READS,
    SECTION_TOKENS,
    Count,
    Sizer,
    Sizes,
)
from ingest.split.structure import parts
from ingest.split.tables import Headers

__all__ = [
    "BUDGET", "CONTEXT_TOKENS", "HEADING_TOKENS", "LETTERS_PER_TOKEN", "OVERLAP", "READS", "SECTION_TOKENS",
    "SPLITTER", "Count", "split",
]  # fmt: skip

SPLITTER = "structure 2"
# Sizes are sums over atoms. Where they stay this far below what is read, the whole need not be counted again.
SURE = 8 / 9
_WORD_START = re.compile(r"(?<!\S)\S")


def split(
    document: Document,
    *,
    count_tokens: Count,
    budget: int = BUDGET,
    overlap: int = OVERLAP,
    reads: int = READS,
    section_tokens: int = SECTION_TOKENS,
) -> list[Chunk]:
    """Chunks of at most `budget` tokens, `overlap` of which may repeat the end of the chunk before.

    `reads` is what the embedder takes of heading, context and text together; the heading has at most HEADING_TOKENS,
    the context CONTEXT_TOKENS. `count_tokens` may raise to stop the work.
    """
    return _Splitter(document, Sizes(budget, overlap, reads, section_tokens), Sizer(count_tokens)).chunks()


class _Splitter:
    def __init__(self, document: Document, sizes: Sizes, sizer: Sizer) -> None:
        self._document = document
        self._text = document.text
        self._sizes = sizes
        self._sizer = sizer
        self._headings = HeadingPaths(document.headings, sizer)
        self._headers = Headers(document.text, document.tables, sizer)

    def chunks(self) -> list[Chunk]:
        starts = (heading.start for heading in self._document.headings)
        cutter = AtomCutter(self._text, starts, self._headers, self._sizes, self._sizer)
        cuts: list[Cut] = []
        for atoms in cutter.atoms(parts(self._document)):
            cuts += self._read_whole([*self._cuts(atoms)])
        sections = Sections(self._document, cuts, self._sizes.section).places()
        return [self._chunk(number, cut, place) for number, (cut, place) in enumerate(zip(cuts, sections, strict=True))]

    def _cuts(self, atoms: Atoms) -> Iterator[Cut]:
        before: int | None = None
        for first, last in group(atoms, self._sizes.room):
            start, end = self._without_blanks(atoms.starts[first], atoms.ends[last - 1])
            if start < end:
                begin = self._reach_back(before + 1, start) if before is not None and self._sizes.overlap else start
                yield Cut(begin, end, sum(atoms.tokens[first:last]) + (self._sizes.overlap if begin < start else 0))
                before = start

    def _read_whole(self, cuts: Sequence[Cut]) -> list[Cut]:
        """The same, those halved of which the embedder would not read all: sums over atoms can be too low."""
        doubtful = [cut for cut in cuts if cut.tokens + HEADING_TOKENS + CONTEXT_TOKENS > self._sizes.reads * SURE]
        texts = [self._embedded(cut) for cut in doubtful]
        over = {
            cut for cut, tokens in zip(doubtful, self._sizer.exactly(texts), strict=True) if tokens > self._sizes.reads
        }
        return [
            part for cut in cuts for part in (self._read_whole(self._halved(cut)) or [cut] if cut in over else [cut])
        ]

    def _embedded(self, cut: Cut) -> str:
        heading = self._headings.over(cut.start, cut.end)
        return embedded_text(heading, self._headers.context(cut.start, cut.end), self._text[cut.start : cut.end])

    def _halved(self, cut: Cut) -> list[Cut]:
        if cut.end - cut.start < 2:  # a heading alone is more than the embedder reads: nothing to be done here
            return []
        middle = (cut.start + cut.end) // 2
        blank = max(self._text.rfind(mark, cut.start + 1, middle) for mark in "\n ")
        at = blank if blank > 0 else middle
        places = (self._without_blanks(cut.start, at), self._without_blanks(at, cut.end))
        sizes = self._sizer.many([self._text[start:end] for start, end in places])
        return [Cut(start, end, size) for (start, end), size in zip(places, sizes, strict=True) if start < end]

    def _chunk(self, position: int, cut: Cut, section: tuple[int, int]) -> Chunk:
        return Chunk(
            position,
            cut.start,
            cut.end,
            self._text[cut.start : cut.end],
            page_of(self._document.pages, cut.start, cut.end),
            self._headings.over(cut.start, cut.end),
            self._headers.context(cut.start, cut.end),
            *section,
        )

    def _without_blanks(self, start: int, end: int) -> tuple[int, int]:
        piece = self._text[start:end]
        return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())

    def _reach_back(self, floor: int, start: int) -> int:
        """Where a chunk begins when it repeats whole words of the one before, from no further than `floor`."""
        low = max(floor, start - self._sizes.overlap * LETTERS_PER_TOKEN)
        begin = start
        for word in reversed([found.start() for found in _WORD_START.finditer(self._text, low, max(low, start))]):
            if self._sizer.many([self._text[word:start]])[0] > self._sizes.overlap:
                break
            begin = word
        return begin


def page_of(pages: Sequence[Page], start: int, end: int) -> int | None:
    """The page that holds most of a stretch; the first of them when two hold the same."""
    if not pages:
        return None
    first = max(0, bisect_right(pages, start, key=lambda page: page.start) - 1)
    last = max(first + 1, bisect_left(pages, end, key=lambda page: page.start))
    best = max(pages[first:last], key=lambda page: min(end, page.end) - max(start, page.start))
    return best.number
