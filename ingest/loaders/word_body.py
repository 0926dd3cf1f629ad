"""The body of a Word document as blocks, in the order of its text.

Found is what python-docx's own paragraph list leaves out (content controls, text boxes, insertions, notes); left out
is what Word does not show (deleted text, hidden text, the old copy of moved text) and comments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.loaders.draft import Block
from ingest.loaders.word_styles import Styles, value

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_P, _R, _T, _TBL, _TR, _TC = (W + tag for tag in ("p", "r", "t", "tbl", "tr", "tc"))
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_MARKS = {W + "tab": "\t", W + "br": "\n", W + "cr": "\n", W + "noBreakHyphen": "-"}
_REFERENCES = {W + "footnoteReference": W + "footnote", W + "endnoteReference": W + "endnote"}
_NOT_SHOWN = ("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback", W + "moveFrom", W + "del")
_COMMENT = W + "commentReference"
_OFF = ("0", "false", "off", "none")
_PAGE_FIELDS = ("PAGE", "NUMPAGES", "SECTIONPAGES")
WIDEST_SPAN = 63  # columns, as in Word itself
LONGEST_CELL = 600  # characters; a cell with more is a text beside others, not a value of a table
LONGEST_REPEATED = 200  # characters of a cell over several rows that each row repeats


def remove_unseen(root: Any) -> int:
    """Take out what Word does not show; the number of comments that are left out too."""
    for element in list(root.iter(*_NOT_SHOWN)):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
    for row in list(root.iter(_TR)):
        if row.find(f"{W}trPr/{W}del") is not None:
            row.getparent().remove(row)
    return sum(1 for _ in root.iter(_COMMENT))


def leave_out_page_numbers(root: Any) -> bool:
    """Take the results of page number fields out of a header or footer; whether there were any."""
    found = False
    for simple in root.iter(W + "fldSimple"):
        if (simple.get(W + "instr") or "").split()[:1] and simple.get(W + "instr").split()[0].upper() in _PAGE_FIELDS:
            found = True
            for text in simple.iter(_T):
                text.text = ""
    fields: list[str] = []  # instructions of the open fields, the innermost last; "" once it is to be left out
    for element in root.iter(W + "fldChar", W + "instrText", _T):
        kind = element.get(W + "fldCharType")
        if element.tag == W + "instrText" and fields:
            fields[-1] += element.text or ""
        elif kind == "begin":
            fields.append("")
        elif kind == "end" and fields:
            fields.pop()
        elif element.tag == _T and any(
            field.split()[:1] and field.split()[0].upper() in _PAGE_FIELDS for field in fields
        ):
            found = True
            element.text = ""
    return found


class BodyReader:
    """Walks a body; notes follow the paragraph or table that refers to them. `hides`: hidden text was met."""

    def __init__(self, styles: Styles, notes: Mapping[tuple[str, str], Any]) -> None:
        self.hides = False
        self._styles = styles
        self._notes = dict(notes)
        self._referred: list[tuple[str, str]] = []

    def blocks(self, body: Any) -> Iterator[Block]:
        stack = [body.iterchildren()]
        while stack:
            element = next(stack[-1], None)
            if element is None:
                stack.pop()
            elif element.tag == _P:
                yield self._paragraph(element)
                yield from self._referred_notes()
            elif element.tag == _TBL:
                yield from self._table(element)
                yield from self._referred_notes()
            elif isinstance(element.tag, str):
                stack.append(element.iterchildren())  # content controls and other wrappers

    def notes_left(self) -> Iterator[Block]:
        """Notes that nothing refers to."""
        self._referred.extend(self._notes)
        return self._referred_notes()

    def _referred_notes(self) -> Iterator[Block]:
        while self._referred:
            note = self._notes.pop(self._referred.pop(0), None)
            if note is not None:
                yield from self.blocks(note)

    def _paragraph(self, paragraph: Any) -> Block:
        look, text = self._styles.look(paragraph.find(W + "pPr")), self._text(paragraph)
        if not text:
            return Block()
        if look.level:
            return Block(f"{look.number} {text}", level=look.level)
        listed = "  " * look.depth + look.number + " " if look.number else ""
        return Block(listed + text, tight=bool(listed))

    def _text(self, paragraph: Any) -> str:
        parts: list[str] = []
        for element in paragraph.iter(_P, _T, _MATH_TEXT, *_MARKS, *_REFERENCES):
            if element.tag == _P:
                if element is not paragraph:
                    parts.append("\n")  # a text box anchored in this paragraph
            elif element.tag in _REFERENCES:
                self._referred.append((_REFERENCES[element.tag], element.get(W + "id") or ""))
            elif element.tag == _MATH_TEXT:
                parts.append(element.text or "")
            elif (run := element.getparent()).tag == _R and not self._hidden(run):
                parts.append(_MARKS.get(element.tag) or element.text or "")
        return "".join(parts).strip()

    def _hidden(self, run: Any) -> bool:
        mark = run.find(f"{W}rPr/{W}vanish")
        hidden = mark is not None and mark.get(W + "val") not in _OFF
        self.hides = self.hides or hidden
        return hidden

    def _table(self, table: Any) -> Iterator[Block]:
        """A table, or what stands in its cells one after the other where it only arranges a page."""
        rows = list(_rows(table))
        if any(_holds_texts(cell) for row in rows for cell in _cells(row)) or all(_span(row) < 2 for row in rows):
            for row in rows:
                for cell in _cells(row):
                    yield from self.blocks(cell)
            return
        headers = next((n for n, row in enumerate(rows) if not _is_header(row)), len(rows))
        above: dict[int, str] = {}
        yield Block(
            rows=[self._row(row, above, n < (headers or 1)) for n, row in enumerate(rows)], headers=headers or 1
        )

    def _row(self, row: Any, above: dict[int, str], header: bool) -> list[str]:
        """The cells of a row; one that goes over several rows stands in each, in a header also in each column."""
        before = row.find(f"{W}trPr/{W}gridBefore")
        cells = [""] * (_count(before) if before is not None else 0)
        for cell in _cells(row):
            column, span, merge = len(cells), _columns(cell), cell.find(f"{W}tcPr/{W}vMerge")
            goes_on = merge is not None and value(merge) != "restart"
            text = above.get(column, "") if goes_on else self._cell(cell)
            above[column] = text if merge is not None and len(text) <= LONGEST_REPEATED else ""
            cells += [text, *[text if header else ""] * (span - 1)]
        return cells

    def _cell(self, cell: Any) -> str:
        paragraphs = (
            self._paragraph(paragraph).text for paragraph in cell.iter(_P) if not _inside_box(paragraph, cell)
        )
        return " ".join(" ".join(text.split()) for text in paragraphs if text)


def _rows(table: Any) -> Iterator[Any]:
    """Rows, also those in content controls and insertions, but none of tables inside."""
    stack = [table.iterchildren()]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag == _TR:
            yield element
        elif isinstance(element.tag, str):
            stack.append(element.iterchildren())


def _cells(row: Any) -> Iterator[Any]:
    for element in row.iterchildren():
        if element.tag == _TC:
            yield element
        elif element.tag in (W + "sdt", W + "customXml"):
            yield from element.iter(_TC)


def _inside_box(paragraph: Any, cell: Any) -> bool:
    """Whether a paragraph belongs to a text box of another one, which is read with that."""
    return any(parent.tag == _P for parent in _between(paragraph, cell))


def _between(element: Any, outer: Any) -> Iterator[Any]:
    for parent in element.iterancestors():
        if parent is outer:
            return
        yield parent


def _holds_texts(cell: Any) -> bool:
    """Whether a cell holds a table of several columns, or more text than a value has."""
    if any(_span(row) > 1 for row in cell.iter(_TR)):
        return True
    return sum(len(text.text or "") for text in cell.iter(_T)) > LONGEST_CELL


def _is_header(row: Any) -> bool:
    mark = row.find(f"{W}trPr/{W}tblHeader")
    return mark is not None and mark.get(W + "val") not in _OFF


def _span(row: Any) -> int:
    return sum(1 for _ in _cells(row))


def _columns(cell: Any) -> int:
    span = cell.find(f"{W}tcPr/{W}gridSpan")
    return max(1, _count(span)) if span is not None else 1


def _count(element: Any) -> int:
    shown = value(element) or ""
    return min(int(shown), WIDEST_SPAN) if shown.isdecimal() and len(shown) < 10 else 0
