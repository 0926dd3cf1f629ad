"""From a document to chunks: cut at structure first, then at paragraphs, sentences, lines and words.

Structure is where a heading, a page or a table begins or ends. Small neighbours are joined, large sections are cut
into pieces of about equal size. Every character that is not blank ends up in a chunk.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from core.types import Chunk, Document, Heading, Page

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

Count = Callable[[str], int]

SPLITTER = "structure 1"
BUDGET = 180
OVERLAP = 0
HEADING_TOKENS = 40
SMALL = 1 / 3  # of the budget: sections below are joined with the next one
MOSTLY = 0.7  # of a chunk: the section that holds this much gives the heading (a page's header may come before it)
SLACK = 1.15  # pieces may be this much larger than equal shares, to end with a sentence
# A token has about four letters. Tokenizers make one token of a long run without blanks, so letters count as well.
LETTERS_PER_TOKEN = 8
# Longer texts are cut before they are counted, which keeps the work in proportion to the length.
LONGEST_COUNTED = 20_000
SEPARATOR = " › "
# Each pattern takes what it matches to the piece before it. The last two cut what has no better place.
PLACES = [
    r"\n(?:[ \t]*\n)+",
    r"[.!?…]['\"”’)\]»]{0,3}\s+(?=[^\sa-z])|[。！？]['\"”’」』）]{0,3}",
    r"\n",
    r"[;:,、，；：]\s*",
    r"\s+",
    r"[\s\S]{64}",
    r"[\s\S]{8}",
    "",
]
_WORD_START = re.compile(r"(?<!\S)\S")


@dataclass(frozen=True, slots=True)
class _Section:
    """A stretch of text and its size in tokens; sizes beyond what is counted are estimates."""

    start: int
    end: int
    tokens: int


def split(document: Document, *, count_tokens: Count, budget: int = BUDGET, overlap: int = OVERLAP) -> list[Chunk]:
    """Chunks of at most `budget` tokens, `overlap` of which may repeat the end of the chunk before.

    The heading path of a chunk has at most HEADING_TOKENS more. `count_tokens` may raise to stop the work.
    """
    text, size = document.text, _sizer(count_tokens)
    cutter = _Cutter(text, budget - overlap, size)
    places: list[tuple[int, int]] = []
    for section in _joined(_sections(document, size), cutter.room):
        before = section.end
        for start, end in cutter.pieces(section):
            start, end = _without_blanks(text, start, end)
            if start < end:
                places.append((_reach_back(text, before + 1, start, overlap, size), end))
                before = start
    headings = _HeadingPaths(document.headings, count_tokens)
    return [
        Chunk(position, start, end, text[start:end], _page(document.pages, start, end), headings.over(start, end))
        for position, (start, end) in enumerate(places)
    ]


def _sizer(count_tokens: Count) -> Count:
    @lru_cache(maxsize=1024)  # the splitter asks for every piece twice
    def size(text: str) -> int:
        letters = -(-len(text) // LETTERS_PER_TOKEN)
        return letters if len(text) > LONGEST_COUNTED else max(count_tokens(text), letters)

    return size


def _sections(document: Document, size: Count) -> Iterator[_Section]:
    edges = {0, len(document.text)}
    edges.update(heading.start for heading in document.headings)
    edges.update(page.start for page in document.pages)
    edges.update(edge for table in document.tables for edge in (table.start, table.end))
    for start, end in pairwise(sorted(edges)):
        yield _Section(start, end, size(document.text[start:end]))


def _joined(sections: Iterator[_Section], room: int) -> Iterator[_Section]:
    """Sections, small ones joined with what follows them, so that a lone heading goes with its text."""
    small = room * SMALL
    last: _Section | None = None
    for section in sections:
        if last is None:
            last = section
        elif last.tokens < small or (section.tokens < small and last.tokens + section.tokens <= room):
            last = _Section(last.start, section.end, last.tokens + section.tokens)
        else:
            yield last
            last = section
    if last is not None:
        yield last


class _Cutter:
    """Cuts sections into pieces of about equal size, none above `room` tokens."""

    def __init__(self, text: str, room: int, size: Count) -> None:
        self.room = room
        self._text = text
        self._size = size
        self._splitters: dict[int, RecursiveCharacterTextSplitter] = {}

    def pieces(self, section: _Section) -> Iterator[tuple[int, int]]:
        """Consecutive places that together are the section."""
        if section.tokens <= self.room:
            return iter([(section.start, section.end)])
        share = section.tokens / -(-section.tokens // self.room)
        limit = min(self.room, round(share * SLACK))
        pieces: list[_Section] = []
        for piece in self._cut(section, limit):
            last = pieces[-1] if pieces else _Section(piece.start, piece.start, self.room)
            scrap = min(last.tokens, piece.tokens) < self.room * SMALL
            if last.tokens + piece.tokens <= (self.room if scrap else limit):
                pieces[-1] = _Section(last.start, piece.end, last.tokens + piece.tokens)
            else:
                pieces.append(piece)
        return ((piece.start, piece.end) for piece in pieces)

    def _cut(self, section: _Section, limit: int) -> Iterator[_Section]:
        start = section.start
        for piece in self._splitter(limit).split_text(self._text[section.start : section.end]):
            yield _Section(start, start + len(piece), self._size(piece))
            start += len(piece)

    def _splitter(self, limit: int) -> RecursiveCharacterTextSplitter:
        """Nothing is stripped or repeated, so that the lengths of the pieces give their places."""
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        if limit not in self._splitters:
            self._splitters[limit] = RecursiveCharacterTextSplitter(
                PLACES, keep_separator="end", is_separator_regex=True, strip_whitespace=False,
                chunk_size=limit, chunk_overlap=0, length_function=self._size,
            )  # fmt: skip
        return self._splitters[limit]


def _reach_back(text: str, floor: int, start: int, overlap: int, size: Count) -> int:
    """Where a chunk begins when it repeats up to `overlap` tokens of whole words, not before `floor`."""
    low = max(floor, start - overlap * LETTERS_PER_TOKEN)
    begin = start
    for word in reversed([found.start() for found in _WORD_START.finditer(text, low, max(low, start))]):
        if size(text[word:start]) > overlap:
            break
        begin = word
    return begin


def _without_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _page(pages: Sequence[Page], start: int, end: int) -> int | None:
    """The page that holds most of the chunk; the first of them when two hold the same."""
    if not pages:
        return None
    first = max(0, bisect_right(pages, start, key=lambda page: page.start) - 1)
    last = max(first + 1, bisect_left(pages, end, key=lambda page: page.start))
    best = max(pages[first:last], key=lambda page: min(end, page.end) - max(start, page.start))
    return best.number


class _HeadingPaths:
    """The headings above a place, from the outermost in, as one line of limited length."""

    def __init__(self, headings: Sequence[Heading], count_tokens: Count) -> None:
        self._starts = [0]
        self._paths: list[tuple[str, ...]] = [()]
        self._count = count_tokens
        self._lines: dict[tuple[str, ...], str] = {}
        open_headings: list[Heading] = []
        for heading in sorted(headings, key=lambda heading: heading.start):
            while open_headings and open_headings[-1].level >= heading.level:
                open_headings.pop()
            open_headings.append(heading)
            self._starts.append(heading.start)
            self._paths.append(tuple(" ".join(h.title.split()) for h in open_headings))

    def over(self, start: int, end: int) -> str:
        """The path of the section that holds nearly all of a stretch, or what its sections have in common."""
        first, last = bisect_right(self._starts, start) - 1, bisect_left(self._starts, end)
        paths = self._paths[first : max(last, first + 1)]
        edges = [start, *self._starts[first + 1 : last], end]
        for path, (begin, finish) in zip(paths, pairwise(edges), strict=True):
            if finish - begin >= MOSTLY * (end - start):
                return self._line(path)
        # A heading alone counts as part of what follows it.
        kept = [path for path, after in pairwise(paths) if after[: len(path)] != path] + paths[-1:]
        shared = 0
        while all(len(path) > shared for path in kept) and len({path[shared] for path in kept}) == 1:
            shared += 1
        return self._line(kept[0][:shared])

    def _line(self, path: tuple[str, ...]) -> str:
        if path not in self._lines:
            self._lines[path] = self._shortened(path)
        return self._lines[path]

    def _shortened(self, path: tuple[str, ...]) -> str:
        """The innermost headings that fit; a single one that does not is cut."""
        for outermost in range(len(path)):
            line = SEPARATOR.join(path[outermost:])
            if len(line) <= HEADING_TOKENS * LETTERS_PER_TOKEN and self._count(line) <= HEADING_TOKENS:
                return line
        line = path[-1][: HEADING_TOKENS * LETTERS_PER_TOKEN] if path else ""
        while line and self._count(line + "…") > HEADING_TOKENS:
            line = line[: len(line) * 3 // 4]
        return f"{line.rstrip()}…" if line else ""
