"""The headings above a chunk, as the line that stands before its text."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from core.types import Heading
from ingest.split.sizes import HEADING_TOKENS, LETTERS_PER_TOKEN, Sizer

MOSTLY = 0.7  # of a chunk: the section that holds this much gives the heading (a page's header may come before it)
SEPARATOR = " › "
LONGEST = HEADING_TOKENS * LETTERS_PER_TOKEN


class HeadingPaths:
    """The headings above a place, from the outermost in, as one line of limited length."""

    def __init__(self, headings: Sequence[Heading], sizer: Sizer) -> None:
        self._starts = [0]
        self._paths: list[tuple[str, ...]] = [()]
        self._sizer = sizer
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
            if self._fits(line):
                return line
        line = path[-1][: LONGEST - 1] if path else ""
        while line and not self._fits(f"{line}…"):
            line = line[: len(line) * 3 // 4]
        return f"{line.rstrip()}…" if line else ""

    def _fits(self, line: str) -> bool:
        return len(line) <= LONGEST and self._sizer.exactly([line])[0] <= HEADING_TOKENS
