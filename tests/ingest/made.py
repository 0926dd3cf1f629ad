"""Small real files, made where they are needed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import docx
from docx.document import Document as WordDocument

from core.types import Document
from ingest import loaders


def words(text: str) -> int:
    """A plain token counter: words and signs."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def pdf(pages: Sequence[str], *, outline: Sequence[tuple[str, int]] = (), title: str = "", labels: str = "") -> bytes:
    """A PDF with a line of Helvetica for each line of text; `outline` holds titles and page indexes."""
    objects: dict[int, bytes] = {3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"}
    numbers = [10 + 2 * index for index in range(len(pages))]
    for number, text in zip(numbers, pages, strict=True):
        lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.split("\n")]
        shown = " T* ".join(f"({line}) Tj" for line in lines)
        content = f"BT /F 12 Tf 14 TL 50 780 Td {shown} ET".encode("cp1252")
        objects[number] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 820]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
            % (number + 1)
        )
        objects[number + 1] = b"<</Length %d>>stream\n%s\nendstream" % (len(content), content)
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    objects[2] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids)
    entries = b"/PageLabels<</Nums[0<</S/%s>>]>>" % labels.encode() if labels else b""
    if outline:
        first = max(objects) + 1
        last = first + len(outline) - 1
        objects[5] = b"<</Type/Outlines/First %d 0 R/Last %d 0 R/Count %d>>" % (first, last, len(outline))
        entries += b"/Outlines 5 0 R"
        for number, (entry, index) in enumerate(outline, first):
            after = b"/Next %d 0 R" % (number + 1) if number < last else b""
            objects[number] = b"<</Title(%s)/Parent 5 0 R/Dest[%d 0 R/Fit]%s>>" % (
                entry.encode(),
                numbers[index],
                after,
            )
    objects[1] = b"<</Type/Catalog/Pages 2 0 R%s>>" % entries
    objects[4] = b"<</Title(%s)/Author(Ann)/CreationDate(D:20240305120000Z)>>" % title.encode()
    return _assembled(objects)


def _assembled(objects: dict[int, bytes]) -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n" % size
    for number in range(size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    return bytes(out + b"trailer<</Size %d/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, table))


def word_file(path: Path, fill: Callable[[WordDocument], None]) -> Path:
    """A DOCX that `fill` writes into."""
    word = docx.Document()
    fill(word)
    word.save(str(path))
    return path


def slow_markdown(path: Path) -> Path:
    """A file that takes a good while to read, because every line is a block of its own."""
    path.write_text("- a\n\n> b\n\n" * 400_000, encoding="utf-8")
    return path


def read(folder: Path, content: str | bytes, name: str) -> Document:
    """What the loaders make of a file with this content; every place in it is checked."""
    path = folder / "stored"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    document = loaders.load(path, name)
    for heading in document.headings:
        assert 0 <= heading.start < len(document.text)
        assert heading.start == 0 or document.text[heading.start - 1] == "\n"
    for table in document.tables:
        assert document.text[table.start : table.end].startswith(table.header)
    for before, page in pairwise(document.pages):
        assert before.end <= page.start
    return document


def headings(document: Document) -> list[tuple[int, str]]:
    """Level and title of each heading."""
    return [(heading.level, heading.title) for heading in document.headings]


def package(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    """A ZIP package of these parts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return path
