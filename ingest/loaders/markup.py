"""reStructuredText, LaTeX and Org: kept as they were written; headings, title and author are found by their marks.

Read here and not by docutils or TeX parsers: those run directives, read other files, and may take minutes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.types import Document, Heading, Table
from ingest.loaders.clean import clean, one_line
from ingest.loaders.decode import decode
from ingest.loaders.draft import LONGEST_TITLE, Draft
from ingest.loaders.textkinds import LATEX, ORG, RST

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")
_TEX_HEADING = re.compile(
    r"^[ \t]*\\(part|chapter|section|subsection|subsubsection|paragraph)\*?(?:\[[^\]\n]*\])?\{", re.M
)
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}
_TEX_ABOUT = re.compile(r"^[^%\n]{0,80}?\\(title|author|date)\{", re.M)
_TEX_MARKS = re.compile(r"\\(?:[A-Za-z]+\*?|.)[ \t]*|[{}$~]")
_TEX_GROUP = re.compile(r"""\{(\\[`'^"~=.]\\?[A-Za-z])\}""")  # {\"o}: the braces are only there for TeX
_TEX_ACCENT = re.compile(r"""(?<!\\)\\(?:([`'^"~=.])(?:\{\\?([A-Za-z])\}|\\?([A-Za-z]))|([uvHckr])\{\\?([A-Za-z])\})""")
_TEX_LETTER = re.compile(
    r"\{\\(ss|ae|AE|oe|OE|aa|AA|o|O|l|L|i|j)\}|(?<!\\)\\(ss|ae|AE|oe|OE|aa|AA|o|O|l|L|i|j)(?:\{\}|[ \t]+|(?![A-Za-z]))"
)
_COMBINING = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a",
}  # fmt: skip
_LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø",
    "l": "ł", "L": "Ł", "i": "i", "j": "j",
}  # fmt: skip
_ORG_HEADING = re.compile(r"^(\*{1,20})[ \t]+(?:(?:TODO|DONE|NEXT|WAITING)[ \t]+)?(?:\[#[A-Z]\][ \t]*)?([^\n]+)$", re.M)
_ORG_TAGS = re.compile(r"[ \t]+:[\w@:]+:[ \t]*$")
_ORG_ABOUT = re.compile(r"^#\+(title|author|date):[ \t]*([^\n]+)$", re.M | re.I)
_ORG_TABLE = re.compile(r"(?:^[ \t]*\|[^\n]*\|[ \t]*(?:\n|\Z)){2,}", re.M)
_GRID = re.compile(r"^[ \t]*\+(?:[-=]+\+)+[ \t]*\n(?:[ \t]*[|+][^\n]*[|+][ \t]*(?:\n|\Z)){2,}", re.M)
Structure = Callable[[str], tuple[list[Heading], list[Table], dict[str, str]]]


@dataclass(frozen=True, slots=True)
class MarkupLoader:
    """One of the markup languages that stay as they are."""

    media_type: str
    version: int = 1
    library: str | None = "charset-normalizer"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        text = clean(decoded.text)
        if self.media_type == LATEX:
            text = clean(_with_letters(text))
        draft = Draft(name)
        draft.write(text)
        draft.headings, draft.tables, about = _STRUCTURES[self.media_type](text)
        return draft.document(
            self.media_type,
            title=about.pop("title", ""),
            metadata={
                "encoding": decoded.encoding,
                "author": about.get("author", ""),
                "created": about.get("date", ""),
            },
            warnings=decoded.warnings,
        )


def underlined(text: str, *, strict: bool = False) -> list[Heading]:
    """Headings of reStructuredText: lines under (and over) rules; the order in which rules appear gives the level.

    Plain text is looked at strictly: there the rule must be as long as the line, and an empty line before it.
    """
    styles: list[tuple[str, bool]] = []
    found: list[Heading] = []
    lines = text.split("\n")
    start = 0
    for number, line in enumerate(lines):
        below = lines[number + 1].rstrip() if number + 1 < len(lines) else ""
        if below and line.strip() and (rule := _RULE.fullmatch(below)) and not _RULE.fullmatch(line.rstrip()):
            over = number > 0 and lines[number - 1].rstrip() == below
            above = lines[number - 1 - over].strip() if number > over else ""
            if not above and _is_rule_for(line, below, strict=strict, over=over):
                style = (rule[1], over)
                if style not in styles:
                    styles.append(style)
                place = start - len(lines[number - 1]) - 1 if over else start
                found.append(Heading(min(6, styles.index(style) + 1), one_line(line)[:LONGEST_TITLE], place))
        start += len(line) + 1
    return found


def _is_rule_for(line: str, rule: str, *, strict: bool, over: bool) -> bool:
    if strict:
        return abs(len(rule) - len(line.strip())) <= 1 and rule[0] in "=-*~^#+" and len(rule) > 3
    return len(rule) >= min(len(line.rstrip()), 4) and (over or not line[0].isspace())


def _rst(text: str) -> tuple[list[Heading], list[Table], dict[str, str]]:
    headings = underlined(text)
    about = {key.lower(): value for key, value in re.findall(r"^:(Author|Date):[ \t]*([^\n]+)$", text[:4096], re.M)}
    return headings, list(_tables(text, _GRID, header_line=1)), about


def _org(text: str) -> tuple[list[Heading], list[Table], dict[str, str]]:
    headings = [
        Heading(min(6, len(found[1])), one_line(_ORG_TAGS.sub("", found[2]))[:LONGEST_TITLE], found.start())
        for found in _ORG_HEADING.finditer(text)
    ]
    about = {found[1].lower(): found[2] for found in _ORG_ABOUT.finditer(text[:8192])}
    return headings, list(_tables(text, _ORG_TABLE, header_line=0)), about


def _tables(text: str, pattern: re.Pattern[str], *, header_line: int) -> Iterator[Table]:
    for found in pattern.finditer(text):
        # The header counts from the first line of the table, so that the table's text begins with it.
        header = "\n".join(found[0].rstrip().split("\n")[: header_line + 1])
        yield Table(found.start(), found.start() + len(found[0].rstrip()), header)


def _latex(text: str) -> tuple[list[Heading], list[Table], dict[str, str]]:
    found = [(mark, _braced(text, mark.end())) for mark in _TEX_HEADING.finditer(text)]
    tops = min((_TEX_LEVELS[mark[1]] for mark, _ in found), default=1) - 1
    headings = [
        Heading(_TEX_LEVELS[mark[1]] - tops, title, mark.start())
        for mark, inner in found
        if (title := _plain_tex(inner))
    ]
    about = {mark[1]: _plain_tex(_braced(text, mark.end())) for mark in _TEX_ABOUT.finditer(text[:65536])}
    about.pop("date", None)  # mostly a macro
    return headings, [], about


def _braced(text: str, start: int) -> str:
    """What stands up to the brace that closes the one before `start`, if that comes soon."""
    depth = 1
    for place in range(start, min(len(text), start + 3 * LONGEST_TITLE)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    return ""


def _plain_tex(markup: str) -> str:
    return one_line(_TEX_MARKS.sub(" ", markup))[:LONGEST_TITLE]


def _with_letters(text: str) -> str:
    """Letters that TeX spells with marks as letters, so that they are found."""

    def accented(found: re.Match[str]) -> str:
        return (found[2] or found[3] or found[5]) + _COMBINING[found[1] or found[4]]

    return _TEX_LETTER.sub(
        lambda found: _LETTERS[found[1] or found[2]], _TEX_ACCENT.sub(accented, _TEX_GROUP.sub(r"\1", text))
    )


_STRUCTURES: dict[str, Structure] = {RST: _rst, LATEX: _latex, ORG: _org}
