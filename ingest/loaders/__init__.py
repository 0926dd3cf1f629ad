"""From a stored file to a Document: one loader for each media type, chosen by content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from core.types import Document
from ingest.loaders import detect, inside, textkinds
from ingest.loaders.archive import ArchiveLoader
from ingest.loaders.code import CodeLoader
from ingest.loaders.community import CorpusLoader
from ingest.loaders.epub import EpubLoader
from ingest.loaders.jsons import JsonLoader
from ingest.loaders.languages import with_language
from ingest.loaders.mail import MailLoader
from ingest.loaders.markup import MarkupLoader
from ingest.loaders.notebook import NotebookLoader
from ingest.loaders.opendocument import OpenDocumentLoader
from ingest.loaders.outlook import OutlookLoader
from ingest.loaders.pdf import PdfLoader
from ingest.loaders.pictures import PictureLoader
from ingest.loaders.rtf import RtfLoader
from ingest.loaders.sheets import SheetsLoader
from ingest.loaders.slides import SlidesLoader
from ingest.loaders.subtitles import SubtitleLoader
from ingest.loaders.tables import CsvLoader
from ingest.loaders.text import MarkdownLoader, TextLoader
from ingest.loaders.web import WebLoader
from ingest.loaders.webarchive import WebArchiveLoader
from ingest.loaders.word import WordLoader
from ingest.loaders.xmltext import XmlLoader


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
    detect.RTF: RtfLoader(),
    detect.EPUB: EpubLoader(),
    detect.ZIP: ArchiveLoader(),
    textkinds.HTML: WebLoader(),
    textkinds.WEB_ARCHIVE: WebArchiveLoader(),
    textkinds.MARKDOWN: MarkdownLoader(),
    textkinds.TEXT: TextLoader(),
    textkinds.RST: MarkupLoader(textkinds.RST),
    textkinds.LATEX: MarkupLoader(textkinds.LATEX),
    textkinds.ORG: MarkupLoader(textkinds.ORG),
    textkinds.CODE: CodeLoader(),
    textkinds.CSV: CsvLoader(),
    textkinds.JSON: JsonLoader(),
    textkinds.NOTEBOOK: NotebookLoader(),
    textkinds.XML: XmlLoader(textkinds.XML),
    textkinds.SVG: XmlLoader(textkinds.SVG),
    textkinds.MAIL: MailLoader(),
    textkinds.MSG: OutlookLoader(),
    textkinds.SRT: SubtitleLoader(textkinds.SRT),
    textkinds.VTT: SubtitleLoader(textkinds.VTT),
    textkinds.CORPUS: CorpusLoader(),
    **{
        kind: PictureLoader(kind)
        for kind in (detect.PNG, detect.JPEG, detect.TIFF, detect.WEBP, detect.BMP, detect.GIF)
    },
}


def load(path: Path, name: str) -> Document:
    """Read a file by what it contains; `name` is what people call it. Raises BadUpload, UnknownType, NoText."""
    with inside.one_upload():
        return with_language(read(path, name))


def read(path: Path, name: str) -> Document:
    """The same for a file inside another one, whose language is told as a whole."""
    return LOADERS[detect.media_type(path, name)].load(path, name)


def parser_of(media_type: str) -> str:
    """Name and versions of what reads this type now; empty when nothing does. Looked up, nothing is imported."""
    from importlib.metadata import version

    loader = LOADERS.get(media_type)
    if loader is None:
        return ""
    reader = f"{type(loader).__name__} {loader.version}"
    return f"{reader} ({loader.library} {version(loader.library)})" if loader.library else reader
