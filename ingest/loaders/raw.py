"""All characters that a file holds, without order and without meaning: to find out what a loader lost.

Runs in the reader's child like every loader. What it finds is never indexed and never shown to a model.
"""

from __future__ import annotations

import html
import quopri
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

MOST_MEMBERS = 2_000
MOST_BYTES = 64 << 20  # of what is unpacked
MOST_PAGES = 2_000
_TAG = re.compile(r"<[^<>]{0,2000}>")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_TEXT_MEMBER = re.compile(r"\.(xml|rels|x?html?|txt|md|csv|json|opf|ncx|svg|eml)$", re.I)


def raw_text(path: Path) -> str:
    """Everything in the file that can be words, some of it more than once."""
    content = path.read_bytes()[:MOST_BYTES]
    pieces = list(_pdf(path)) if content.startswith(b"%PDF") else []
    pieces += list(_members(path)) if zipfile.is_zipfile(path) else _decoded(content)
    return "\n".join(pieces)


def _decoded(content: bytes) -> list[str]:
    """The bytes as text, with marks and without; the encoding that makes sense of them is one of these."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or content[:200].count(0) > 20:
        texts = [content.decode("utf-16", "replace")]
    else:
        texts = [content.decode("utf-8", "replace")]
        if "\ufffd" in texts[0]:
            texts.append(content.decode("cp1252", "replace"))
    found: list[str] = []
    for text in texts:
        plain = html.unescape(_TAG.sub(" ", text))
        found += [text, plain, html.unescape(_TAG.sub("", text))]
        if "\\u" in text:
            found.append(_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text))
    if b"=\n" in content or b"=\r\n" in content:
        found.append(quopri.decodestring(content).decode("utf-8", "replace"))
    return found


def _members(path: Path) -> Iterator[str]:
    """The texts inside a package such as .docx, as far as the limits go."""
    left = MOST_BYTES
    with zipfile.ZipFile(path) as package:
        for member in package.infolist()[:MOST_MEMBERS]:
            if left <= 0 or not _TEXT_MEMBER.search(member.filename):
                continue
            try:
                with package.open(member) as stream:
                    content = stream.read(left)
            except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError):
                continue  # encrypted or damaged: the others may hold it
            left -= len(content)
            yield from _decoded(content)


def _pdf(path: Path) -> Iterator[str]:
    """What another library than the loader's reads: pages, notes on them, fields and properties."""
    import pypdf
    from pypdf.errors import PyPdfError

    try:
        with path.open("rb") as file:
            reader = pypdf.PdfReader(file)
            yield from (str(value) for value in (reader.metadata or {}).values())
            for field in (reader.get_fields() or {}).values():
                yield str(field.get("/V", ""))
            for page in reader.pages[:MOST_PAGES]:
                yield page.extract_text()
                yield from (str(note.get_object().get("/Contents", "")) for note in page.get("/Annots") or ())
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, IndexError, OSError, zlib.error):
        return  # what was found before the damage counts
