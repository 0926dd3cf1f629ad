"""What Word's styles say of a paragraph: which headings they make, and which lists they number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ingest.loaders.numbering import BULLET, Numbering

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
DEEPEST_STYLE = 20

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Look:
    """A paragraph's heading level (0: none), its number or dash ("": none), and how deep it is indented."""

    level: int = 0
    number: str = ""
    depth: int = 0


class Styles:
    """Styles and numbering of a document; `styles` and `numbering` are the roots of their parts, or None."""

    def __init__(self, styles: Any = None, numbering: Any = None) -> None:
        self._numbering = Numbering(numbering)
        self._based_on: dict[str, str] = {}
        self._levels: dict[str, int] = {}
        self._lists: dict[str, tuple[str, int]] = {}
        for style in [] if styles is None else styles.iter(W + "style"):
            self._read(style)

    def _read(self, style: Any) -> None:
        style_id = style.get(W + "styleId") or ""
        title = (value(style.find(W + "name")) or "").lower()
        outline = style.find(f"{W}pPr/{W}outlineLvl")
        if title == "title":
            self._levels[style_id] = 1
        elif title.startswith("heading ") and title[8:].isdecimal():
            self._levels[style_id] = int(title[8:])
        elif outline is not None:
            self._levels[style_id] = _outline_level(outline)
        if (parent := value(style.find(W + "basedOn"))) is not None:
            self._based_on[style_id] = parent
        if (listed := style.find(f"{W}pPr/{W}numPr")) is not None:
            number, depth = _list(listed)
            # A heading style is numbered at the level of its own rank where it does not say which.
            self._lists[style_id] = (
                number or "",
                depth if depth is not None else max(0, self._levels.get(style_id, 1) - 1),
            )

    def look(self, properties: Any) -> Look:
        """The look of the next paragraph with these w:pPr (or None); its list counts on by this."""
        if properties is None:
            return Look()
        style_id = value(properties.find(W + "pStyle")) or ""
        outline, listed = properties.find(W + "outlineLvl"), properties.find(W + "numPr")
        level = _outline_level(outline) if outline is not None else 0
        level = min(level or self._inherited(style_id, self._levels, 0), 6)
        number, depth = self._inherited(style_id, self._lists, ("", 0))
        if listed is not None:
            own, own_depth = _list(listed)
            number, depth = number if own is None else own, depth if own_depth is None else own_depth
        if number in ("", "0"):
            return Look(level)
        shown = self._numbering.next(number, depth)
        return Look(level, "" if level and shown == BULLET else shown, 0 if level else depth)

    def _inherited(self, style_id: str, own: Mapping[str, Value], otherwise: Value) -> Value:
        for _ in range(DEEPEST_STYLE):
            if style_id in own:
                return own[style_id]
            style_id = self._based_on.get(style_id, "")
        return otherwise


def value(element: Any) -> str | None:
    """The w:val of an element that may be missing."""
    return None if element is None else element.get(W + "val")


def _list(properties: Any) -> tuple[str | None, int | None]:
    number, depth = value(properties.find(W + "numId")), value(properties.find(W + "ilvl"))
    return number, min(int(depth), 8) if depth and depth.isdecimal() else None


def _outline_level(outline: Any) -> int:
    """Levels are stored from 0; 9 means body text, which is no heading."""
    shown = value(outline) or ""
    return int(shown) + 1 if shown.isdecimal() and int(shown) < 9 else 0
