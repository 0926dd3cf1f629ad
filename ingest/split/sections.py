"""The section around each chunk, which a model may read instead of the chunk that was found."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from core.types import Document
from ingest.split.grouping import Atoms, group
from ingest.split.headings import MOSTLY

OVER_PAGES = 0.4  # what it costs that a section goes on over the end of a page


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a chunk is, and the tokens of its text."""

    start: int
    end: int
    tokens: int


class Sections:
    """Finds sections of at most `most` tokens that begin and end with chunks or with headings."""

    def __init__(self, document: Document, cuts: Sequence[Cut], most: int) -> None:
        self._text = document.text
        self._cuts = cuts
        self._most = most
        headings = sorted(document.headings, key=lambda heading: heading.start)
        self._starts = [heading.start for heading in headings]
        self._ends, self._parents = _tree([heading.level for heading in headings], self._starts, len(document.text))
        self._pages = [page.start for page in document.pages]
        self._cut_ends = [cut.end for cut in cuts]
        self._cut_starts = [cut.start for cut in cuts]
        self._tokens = [0, *accumulate(cut.tokens for cut in cuts)]

    def places(self) -> list[tuple[int, int]]:
        """For each chunk the start and end of the smallest section that holds it.

        That is what stands under a heading; where this is too much, or there is none, the paragraphs around it.
        """
        found: list[tuple[int, int]] = []
        keyed = ((self._heading_of(cut), number) for number, cut in enumerate(self._cuts))
        for heading, run in groupby(keyed, key=lambda pair: pair[0]):
            numbers = [number for _, number in run]
            whole = self._under(heading)
            if self._size(*whole) <= self._most:
                found += [self._around(whole, self._cuts[number]) for number in numbers]
            else:
                found += self._grouped(numbers)
        return found

    def _heading_of(self, cut: Cut) -> int:
        """The innermost heading that nearly all of a chunk stands under; -1 is the whole document."""
        reach = cut.end - cut.start
        heading = bisect_right(self._starts, cut.start + int((1 - MOSTLY) * reach)) - 1
        while heading >= 0:
            start, end = self._under(heading)
            if min(end, cut.end) - max(start, cut.start) >= MOSTLY * reach:
                break
            heading = self._parents[heading]
        return heading

    def _under(self, heading: int) -> tuple[int, int]:
        return (self._starts[heading], self._ends[heading]) if heading >= 0 else (0, len(self._text))

    def _size(self, start: int, end: int) -> int:
        """Tokens of all chunks that reach into a stretch."""
        first, last = bisect_right(self._cut_ends, start), bisect_left(self._cut_starts, end)
        return self._tokens[max(first, last)] - self._tokens[first]

    def _around(self, section: tuple[int, int], cut: Cut) -> tuple[int, int]:
        start, end = min(section[0], cut.start), max(section[1], cut.end)
        piece = self._text[start:end]
        return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())

    def _grouped(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Sections of consecutive chunks, of about equal size."""
        atoms = Atoms()
        for number in numbers:
            cut = self._cuts[number]
            over = self._page(cut.end) != self._page(self._cut_starts[min(number + 1, len(self._cuts) - 1)])
            atoms.add(cut.start, cut.end, cut.tokens, cut=0, crossing=OVER_PAGES if over else 0, room=self._most)
        for first, last in group(atoms, self._most):
            yield from [(atoms.starts[first], atoms.ends[last - 1])] * (last - first)

    def _page(self, place: int) -> int:
        return bisect_right(self._pages, place)


def _tree(levels: Sequence[int], starts: Sequence[int], length: int) -> tuple[list[int], list[int]]:
    """For each heading where its section ends, and the heading above it (-1 for none)."""
    ends, parents = [length] * len(levels), [-1] * len(levels)
    open_headings: list[int] = []
    for number, level in enumerate(levels):
        while open_headings and levels[open_headings[-1]] >= level:
            ends[open_headings.pop()] = starts[number]
        parents[number] = open_headings[-1] if open_headings else -1
        open_headings.append(number)
    return ends, parents
