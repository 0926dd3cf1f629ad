"""DOCX: python-docx opens the package and knows its styles; the body is read from its XML in one pass."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.types import Document
from ingest.loaders.detect import DOCX
from ingest.loaders.draft import Block, Draft
from ingest.loaders.package import check_package, damaged, parse_xml, properties
from ingest.loaders.word_body import BodyReader, W, leave_out_page_numbers, remove_unseen
from ingest.loaders.word_styles import Styles

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

_MAIN = "application/vnd.ms-word.document.macroEnabled.main+xml"
_TEMPLATES = (
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
)
_REFERENCE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_NOTE_PARTS = {"footnotes": W + "footnote", "endnotes": W + "endnote"}
FEWEST_WORDS = 3  # beside a page number: "Page 3 of 7" says nothing


@dataclass(frozen=True, slots=True)
class WordLoader:
    """Word documents and templates in the format of 2007 and later."""

    version: int = 2
    library: str | None = "python-docx"

    def load(self, path: Path, name: str) -> Document:
        check_package(path, name)
        word = _open(path, name)
        body = word.element.body
        if body is None:
            raise damaged(name, "Word")
        comments = remove_unseen(body)
        reader = BodyReader(Styles(word.styles.element, _part(word, "/numbering")), _notes(word))
        draft = Draft(name)
        texts = (reader.blocks(body), reader.notes_left())
        for block in chain(_margins(word, body, "header"), *texts, _margins(word, body, "footer")):
            draft.add(block)
        about = properties(path, name)
        warnings = ["Hidden text was left out."] if reader.hides else []
        if comments:
            warnings.append(f"{comments} {'comment was' if comments == 1 else 'comments were'} left out.")
        return draft.document(DOCX, title=about.pop("title", ""), metadata=about, warnings=warnings)


def _open(path: Path, name: str) -> WordDocument:
    from docx.opc.constants import CONTENT_TYPE
    from docx.opc.exceptions import OpcError
    from docx.opc.part import PartFactory
    from docx.package import Package
    from docx.parts.document import DocumentPart
    from lxml.etree import LxmlError

    for kind in (_MAIN, *_TEMPLATES):  # python-docx itself opens none but plain documents
        PartFactory.part_type_for[kind] = DocumentPart
    try:
        part = Package.open(str(path)).main_document_part
        if part.content_type not in (CONTENT_TYPE.WML_DOCUMENT_MAIN, _MAIN, *_TEMPLATES):
            raise damaged(name, "Word")
        document: WordDocument = part.document
    except (OpcError, LxmlError, KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise damaged(name, "Word") from error
    return document


def _part(word: WordDocument, ending: str) -> Any:
    """The root of the part that stands in this relation to the document, None where there is none or it is broken."""
    from lxml.etree import XMLSyntaxError

    for relation in word.part.rels.values():
        if not relation.is_external and relation.reltype.endswith(ending):
            try:
                return parse_xml(relation.target_part.blob)
            except XMLSyntaxError:
                return None
    return None


def _notes(word: WordDocument) -> dict[tuple[str, str], Any]:
    """Footnotes and endnotes, which stand in parts of their own, by kind and id."""
    found: dict[tuple[str, str], Any] = {}
    for kind, tag in _NOTE_PARTS.items():
        part = _part(word, f"/{kind}")
        if part is None:
            continue
        remove_unseen(part)
        for note in part.iterchildren(tag):
            if note.get(W + "type") in (None, "normal"):
                found[tag, note.get(W + "id") or ""] = note
    return found


def _margins(word: WordDocument, body: Any, kind: str) -> Iterator[Block]:
    """What the headers or footers of all sections say, each text once; page numbers alone say nothing."""
    from lxml.etree import XMLSyntaxError

    seen: set[str] = set()
    for reference in body.iter(f"{W}{kind}Reference"):
        relation = word.part.rels.get(reference.get(_REFERENCE))
        if relation is None or relation.is_external:
            continue
        try:
            root = parse_xml(relation.target_part.blob)
        except XMLSyntaxError:
            continue
        remove_unseen(root)
        numbered = leave_out_page_numbers(root)
        lines = [
            " ".join(line) for block in BodyReader(Styles(), {}).blocks(root) for line in block.rows or [[block.text]]
        ]
        text = "\n".join(line for line in lines if line.strip())
        enough = len([word for word in text.split() if any(map(str.isalpha, word))]) >= (
            FEWEST_WORDS if numbered else 1
        )
        if enough and text not in seen:
            seen.add(text)
            yield Block(text)
