"""The numbers that Word counts itself: of headings, clauses and lists. People cite them, so they are text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
DEEPEST = 9
HIGHEST = 1_000_000  # what counts on from a higher start was made up
BULLET = "-"
_PLACE = re.compile(r"%([1-9])")
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


def roman(number: int) -> str:
    """Small Roman numerals; plain digits where they would get too long."""
    if not 0 < number < 5_000:
        return str(number)
    letters = ""
    for value, letter in _ROMAN:
        letters += letter * (number // value)
        number %= value
    return letters


def letters(number: int) -> str:
    """a to z, then aa to zz and so on, as Word counts."""
    if not 0 < number <= 26 * 20:
        return str(number)
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)


_FORMATS: Mapping[str, Callable[[int], str]] = {
    "lowerLetter": letters, "upperLetter": lambda number: letters(number).upper(),
    "lowerRoman": roman, "upperRoman": lambda number: roman(number).upper(),
    "decimalZero": lambda number: f"{number:02d}", "none": lambda _number: "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Level:
    """How one level of a list counts; `pattern` has %1 to %9 for the numbers of the levels."""

    format: str
    pattern: str
    start: int

    def shown(self, number: int) -> str:
        return _FORMATS.get(self.format, str)(number)


class Numbering:
    """The lists of a document, counted on paragraph by paragraph; `part` is the root of numbering.xml, or None."""

    def __init__(self, part: Any) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._list_of: dict[str, str] = {}
        self._own: dict[str, dict[int, _Level]] = {}
        self._counts: dict[str, list[int]] = {}
        self._restarted: set[tuple[str, int]] = set()
        for element in [] if part is None else part.iterchildren(_W + "abstractNum", _W + "num"):
            if element.tag == _W + "abstractNum":
                self._levels[element.get(_W + "abstractNumId") or ""] = _levels(element)
            else:
                self._read_list(element)

    def _read_list(self, element: Any) -> None:
        number, pattern = element.get(_W + "numId") or "", element.find(_W + "abstractNumId")
        self._list_of[number] = _value(pattern)
        for override in element.iterchildren(_W + "lvlOverride"):
            depth = _number(override.get(_W + "ilvl"))
            level = next(iter(_levels(override).values()), None)
            known = level or self._levels.get(self._list_of[number], {}).get(depth)
            start = override.find(_W + "startOverride")
            if known and (level or start is not None):
                first = _number(_value(start)) if start is not None else known.start
                self._own.setdefault(number, {})[depth] = _Level(known.format, known.pattern, first)

    def next(self, number: str, depth: int) -> str:
        """The number of the next paragraph of list `number` at `depth` (from 0): "2.1", "(a)", or a dash."""
        pattern = self._list_of.get(number)
        if pattern is None or not 0 <= depth < DEEPEST:
            return BULLET
        levels = self._levels.get(pattern, {}) | self._own.get(number, {})
        level = levels.get(depth)
        if level is None or level.format == "bullet":
            return BULLET
        counts = self._counts.setdefault(pattern, [])
        self._count(counts, levels, number, depth)

        def shown(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            return levels[at].shown(counts[at]) if at in levels and at < len(counts) else ""

        return _PLACE.sub(shown, level.pattern).strip()

    def _count(self, counts: list[int], levels: Mapping[int, _Level], number: str, depth: int) -> None:
        del counts[depth + 1 :]
        fresh = depth in self._own.get(number, {}) and (number, depth) not in self._restarted
        while len(counts) <= depth:  # levels that were skipped begin where they would
            at = len(counts)
            first = levels[at].start if at in levels else 1
            counts.append(first - 1 if at == depth else first)
        if fresh:
            self._restarted.add((number, depth))
            counts[depth] = levels[depth].start - 1
        counts[depth] = min(counts[depth] + 1, HIGHEST)


def _levels(element: Any) -> dict[int, _Level]:
    return {
        _number(level.get(_W + "ilvl")): _Level(
            _value(level.find(_W + "numFmt")) or "decimal",
            _value(level.find(_W + "lvlText"))[:40],
            _number(_value(level.find(_W + "start")) or "1"),
        )
        for level in element.iterchildren(_W + "lvl")
    }


def _value(element: Any) -> str:
    return "" if element is None else element.get(_W + "val") or ""


def _number(text: str | None) -> int:
    return min(int(text), HIGHEST) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0
