"""From a stored file to a Document: one loader for each media type, chosen by content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from core.types import Document
from ingest.loaders import detect
from ingest.loaders.opendocument import OpenDocumentLoader
from ingest.loaders.pdf import PdfLoader
from ingest.loaders.pictures import PictureLoader
from ingest.loaders.sheets import SheetsLoader
from ingest.loaders.slides import SlidesLoader
from ingest.loaders.text import MarkdownLoader, TextLoader
from ingest.loaders.web import WebLoader
from ingest.loaders.word import WordLoader


class Loader(Protocol):
    """Reads one kind of file. `version` rises when the same file would give another text.

    `library` is the package that does the reading; it is imported inside `load`, so that reading a file
    costs no more than its own library.
    """

    @property
    def version(self) -> int: ...
    @property
    def library(self) -> str | None: ...

    def load(self, path: Path, name: str) -> Document:
        """Read the file. Raises BadUpload, with `name` in its sentence."""
        ...


LOADERS: Mapping[str, Loader] = {
    detect.PDF: PdfLoader(),
    detect.DOCX: WordLoader(),
    detect.XLSX: SheetsLoader(),
    detect.PPTX: SlidesLoader(),
    detect.ODT: OpenDocumentLoader(detect.ODT),
    detect.ODS: OpenDocumentLoader(detect.ODS),
    detect.ODP: OpenDocumentLoader(detect.ODP),
    detect.HTML: WebLoader(),
    detect.MARKDOWN: MarkdownLoader(),
    detect.TEXT: TextLoader(detect.TEXT),
    detect.CSV: TextLoader(detect.CSV),
    detect.JSON: TextLoader(detect.JSON),
    **{
        kind: PictureLoader(kind)
        for kind in (detect.PNG, detect.JPEG, detect.TIFF, detect.WEBP, detect.BMP, detect.GIF)
    },
}


def load(path: Path, name: str) -> Document:
    """Read a file by what it contains; `name` is what people call it. Raises BadUpload, UnknownType, NoText."""
    return LOADERS[detect.media_type(path, name)].load(path, name)


def parser_of(media_type: str) -> str:
    """Name and versions of what reads this type now; empty when nothing does. Looked up, nothing is imported."""
    from importlib.metadata import version

    loader = LOADERS.get(media_type)
    if loader is None:
        return ""
    reader = f"{type(loader).__name__} {loader.version}"
    return f"{reader} ({loader.library} {version(loader.library)})" if loader.library else reader
