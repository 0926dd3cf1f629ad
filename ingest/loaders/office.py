"""DOCX: python-docx opens the package and knows its styles; the body is read from its XML in one pass.

The pass finds what python-docx's own paragraph list leaves out (content controls, text boxes, insertions, notes) and
leaves out what Word does not show (deleted text, hidden text, the old copy of moved text).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadUpload
from core.types import Document
from ingest.loaders.detect import DOCX
from ingest.loaders.draft import Block, Draft
from ingest.loaders.package import check_package

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_P, _R, _T, _TBL, _TR, _TC = (_W + tag for tag in ("p", "r", "t", "tbl", "tr", "tc"))
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_MARKS = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-"}
_NOT_SHOWN = (
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    _W + "moveFrom",
    _W + "del",
)
_NOTES = ("/footnotes", "/endnotes")
_OFF = ("0", "false", "off", "none")
DEEPEST_STYLE = 20


@dataclass(frozen=True, slots=True)
class WordLoader:
    """Word documents in the format of 2007 and later."""

    version: int = 1
    library: str | None = "python-docx"

    def load(self, path: Path, name: str) -> Document:
        check_package(path, name)
        word = _open(path, name)
        body = word.element.body
        _remove_unseen(body)
        reader = _BodyReader(_heading_levels(word))
        draft = Draft(name)
        for block in reader.blocks(body):
            draft.add(block)
        for block in _notes(word):
            draft.add(block)
        about = word.core_properties
        return draft.document(
            DOCX,
            title=about.title or "",
            metadata={
                "author": about.author or "",
                "subject": about.subject or "",
                "keywords": about.keywords or "",
                "created": about.created.date().isoformat() if about.created else "",
            },
            warnings=["Hidden text was left out."] if reader.hides else [],
        )


def _open(path: Path, name: str) -> WordDocument:
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    try:
        return docx.Document(str(path))
    except (OpcError, LxmlError, KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BadUpload(
            f"{name} is damaged: its parts do not fit together. Open it in Word and save it anew."
        ) from error


def _remove_unseen(body: Any) -> None:
    for element in list(body.iter(*_NOT_SHOWN)):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)


def _heading_levels(word: WordDocument) -> dict[str, int]:
    """Heading level by style id: from the style's own outline level or name, or the style it is based on."""
    own: dict[str, int] = {}
    based_on: dict[str, str] = {}
    for style in word.styles.element.iter(_W + "style"):
        style_id = style.get(_W + "styleId") or ""
        outline, name = style.find(f"{_W}pPr/{_W}outlineLvl"), style.find(_W + "name")
        title = (name.get(_W + "val") or "").lower() if name is not None else ""
        if title == "title":
            own[style_id] = 1
        elif title.startswith("heading ") and title[8:].isdecimal():
            own[style_id] = int(title[8:])
        elif outline is not None:
            own[style_id] = _level(outline)
        parent = style.find(_W + "basedOn")
        if parent is not None:
            based_on[style_id] = parent.get(_W + "val") or ""
    return {style_id: level for style_id in {*own, *based_on} if (level := _inherited(style_id, own, based_on))}


def _inherited(style_id: str, own: dict[str, int], based_on: dict[str, str]) -> int:
    for _ in range(DEEPEST_STYLE):
        if style_id in own:
            return own[style_id]
        style_id = based_on.get(style_id, "")
    return 0


def _level(outline: Any) -> int:
    """Levels are stored from 0; 9 means body text, which is no heading."""
    value = outline.get(_W + "val") or ""
    return int(value) + 1 if value.isdecimal() and int(value) < 9 else 0


class _BodyReader:
    """Walks a body in the order of its text; `hides` tells whether hidden text was met."""

    def __init__(self, levels: dict[str, int]) -> None:
        self.levels = levels
        self.hides = False

    def blocks(self, body: Any) -> Iterator[Block]:
        stack = [body.iterchildren()]
        while stack:
            element = next(stack[-1], None)
            if element is None:
                stack.pop()
            elif element.tag == _P:
                yield self._paragraph(element)
            elif element.tag == _TBL:
                yield Block(rows=[self._cells(row) for row in element.iterchildren(_TR, _W + "sdt")])
            elif isinstance(element.tag, str):
                stack.append(element.iterchildren())  # content controls and other wrappers

    def _paragraph(self, paragraph: Any) -> Block:
        text = self._text(paragraph)
        properties = paragraph.find(_W + "pPr")
        if properties is None:
            return Block(text)
        style, outline = properties.find(_W + "pStyle"), properties.find(_W + "outlineLvl")
        level = _level(outline) if outline is not None else 0
        level = level or self.levels.get(style.get(_W + "val") if style is not None else "", 0)
        if level:
            return Block(text, level=min(level, 6))
        listed = properties.find(_W + "numPr") is not None
        return Block(f"- {text}" if listed and text.strip() else text, tight=listed)

    def _cells(self, row: Any) -> list[str]:
        """The text of each cell of a row; tables inside a cell are read as its text."""
        outer = row.iter(_TC) if row.tag != _TR else row.iterchildren(_TC, _W + "sdt")
        return [" ".join(self._text(paragraph) for paragraph in cell.iter(_P)) for cell in outer]

    def _text(self, paragraph: Any) -> str:
        parts: list[str] = []
        for element in paragraph.iter(_P, _T, _MATH_TEXT, *_MARKS):
            if element.tag == _P:
                if element is not paragraph:
                    parts.append("\n")  # a text box anchored in this paragraph
            elif element.tag == _MATH_TEXT:
                parts.append(element.text or "")
            elif (run := element.getparent()).tag == _R and not self._hidden(run):
                parts.append(_MARKS.get(element.tag) or element.text or "")
        return "".join(parts).strip()

    def _hidden(self, run: Any) -> bool:
        mark = run.find(f"{_W}rPr/{_W}vanish")
        hidden = mark is not None and mark.get(_W + "val") not in _OFF
        self.hides = self.hides or hidden
        return hidden


def _notes(word: WordDocument) -> Iterator[Block]:
    """Footnotes and endnotes, which stand in parts of their own."""
    from lxml import etree

    for relation in word.part.rels.values():
        if relation.is_external or not relation.reltype.endswith(_NOTES):
            continue
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        try:
            notes = etree.fromstring(relation.target_part.blob, parser)
        except etree.XMLSyntaxError:
            continue
        _remove_unseen(notes)
        reader = _BodyReader({})
        for note in notes.iterchildren(_W + "footnote", _W + "endnote"):
            if note.get(_W + "type") in (None, "normal"):
                yield from reader.blocks(note)
