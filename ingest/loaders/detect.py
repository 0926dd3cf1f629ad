"""What a file is, from its bytes. The name decides only between kinds of text, which look alike inside."""

from __future__ import annotations

import mmap
import re
import zipfile
import zlib
from pathlib import Path
from typing import NoReturn

from core.errors import BadUpload, UnknownType
from ingest.loaders.decode import looks_like_text
from ingest.loaders.outlook import is_message
from ingest.loaders.textkinds import MSG, text_type

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
ODP = "application/vnd.oasis.opendocument.presentation"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
RTF = "application/rtf"
EPUB = "application/epub+zip"
ZIP = "application/zip"
PNG, JPEG, TIFF, WEBP = "image/png", "image/jpeg", "image/tiff", "image/webp"
BMP, GIF = "image/bmp", "image/gif"

HEAD = 64 << 10
TAKEN = (
    "Groundwork reads PDF, Word, PowerPoint, Excel and OpenDocument files, RTF, EPUB, HTML, Markdown, plain text, "
    "tables, mails, notebooks, subtitles, source code, ZIP archives of these, and pictures of text outside of archives."
)

_PICTURE = "a picture of a kind that cannot be read: save it as PNG"
_MEDIA = "a sound or video file"
_ARCHIVE = "a compressed archive: unpack it and upload the files"
_PROGRAM = "a program"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\0\0\1\0", _PICTURE), (b"8BPS", _PICTURE),
    (b"ID3", _MEDIA), (b"\xff\xfb", _MEDIA), (b"OggS", _MEDIA), (b"fLaC", _MEDIA), (b"\x1aE\xdf\xa3", _MEDIA),
    (b"\x1f\x8b", _ARCHIVE), (b"BZh", _ARCHIVE), (b"\xfd7zXZ\0", _ARCHIVE), (b"7z\xbc\xaf'\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE), (b"(\xb5/\xfd", _ARCHIVE),
    (b"\x7fELF", _PROGRAM), (b"MZ", _PROGRAM), (b"\xcf\xfa\xed\xfe", _PROGRAM), (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"SQLite format 3\0", "a database"), (b"GGUF", "a model file"),
)  # fmt: skip
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", PNG), (b"\xff\xd8\xff", JPEG), (b"II*\0", TIFF), (b"MM\0*", TIFF), (b"GIF8", GIF),
    (b"BM", BMP),
)  # fmt: skip
_FTYP = {b"heic": _PICTURE, b"heix": _PICTURE, b"mif1": _PICTURE, b"avif": _PICTURE}
_RIFF = {b"WAVE": _MEDIA, b"AVI ": _MEDIA}
# Names of streams in the directory of an OLE container, in the order in which they decide.
_OLE = (
    ("EncryptedPackage", "a password-protected Office file: remove the password and upload it again"),
    ("WordDocument", "an old or password-protected Word file: save it as .docx without a password"),
    ("PowerPoint Document", "an old PowerPoint file: save it as .pptx"),
    ("Workbook", "an old Excel file: save it as .xlsx"),
)
_OLE_OTHER = "an old or password-protected Word file (or another old Office file): save it as .docx without a password"
# What a package of Office says of its main part, in small letters: documents, templates, with and without macros.
_OFFICE = (
    (re.compile(rb"wordprocessingml\.(document|template)\.main\+xml|ms-word\.\w+\.macroenabled\w*\.main\+xml"), DOCX),
    (re.compile(rb"spreadsheetml\.(sheet|template)\.main\+xml|ms-excel\.\w+\.macroenabled\.main\+xml"), XLSX),
    (re.compile(rb"presentationml\.\w+\.main\+xml|ms-powerpoint\.\w+\.macroenabled\.main\+xml"), PPTX),
)
_MAIN_PARTS = {"word/document.xml": DOCX, "xl/workbook.xml": XLSX, "ppt/presentation.xml": PPTX}
_OPEN = {
    EPUB: EPUB, ODT: ODT, f"{ODT}-template": ODT, f"{ODT}-master": ODT, ODP: ODP, f"{ODP}-template": ODP, ODS: ODS,
    f"{ODS}-template": ODS,
}  # fmt: skip
_CONTENT_TYPES = "[Content_Types].xml"
_ODF_TYPE = re.compile(rb"application/vnd\.oasis\.opendocument\.[\w-]+")


def media_type(path: Path, name: str) -> str:
    """The media type of a file. Raises UnknownType with a sentence that says what it is, BadUpload when it is empty."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise BadUpload(f"{name} is empty. Choose a file that has content.")
    if _is_pdf(path, head):
        return PDF
    if head.startswith(b"PK"):
        return _package_type(path, name)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        if is_message(path):
            return MSG
        _refuse(name, _ole_kind(path))
    if picture := _picture_type(head):
        return picture
    if kind := _binary_kind(head):
        _refuse(name, kind)
    if not looks_like_text(head):
        _refuse(name, "a binary file of a kind that is not known here")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rtf"):
        return RTF
    return text_type(head, name)


def _is_pdf(path: Path, head: bytes) -> bool:
    """The signature may come late (readers allow 1 KB), but then the rest must look like a PDF too."""
    if head.lstrip().startswith(b"%PDF-"):
        return True
    if not re.search(rb"(^|[\r\n>])%PDF-\d", head[:1024]):
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"endobj") >= 0


def _package_type(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as package:
            names = set(package.namelist())
            stated = _beginning(package, "mimetype", names).decode("ascii", "replace").strip()
            if not stated and (found := _ODF_TYPE.search(_beginning(package, "META-INF/manifest.xml", names))):
                stated = found[0].decode()
            parts = _beginning(package, _CONTENT_TYPES, names).lower()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError, OSError) as error:
        raise BadUpload(
            f"{name} is damaged: it looks like an office file or archive that was cut off. Save it anew."
        ) from error
    if kind := _OPEN.get(stated) or _office_kind(parts, names):
        return kind
    if stated.startswith("application/vnd.oasis.opendocument"):
        _refuse(name, "an OpenDocument drawing, chart or formula: save it as PDF")
    if b"ms-excel.sheet.binary" in parts:
        _refuse(name, "a binary Excel workbook: save it as .xlsx")
    if parts:
        raise BadUpload(f"{name} is damaged: the text is missing from this office file. Save it anew.")
    if any(entry.endswith(".iwa") for entry in names):
        _refuse(name, "an Apple iWork file: export it to Word, Excel, PowerPoint or PDF")
    return EPUB if "META-INF/container.xml" in names else ZIP


def _beginning(package: zipfile.ZipFile, part: str, names: set[str]) -> bytes:
    if part not in names or package.getinfo(part).flag_bits & 1:
        return b""
    with package.open(part) as stream:
        return stream.read(1 << 20)


def _office_kind(parts: bytes, names: set[str]) -> str | None:
    for pattern, kind in _OFFICE:
        if pattern.search(parts):
            return kind
    return next((kind for part, kind in _MAIN_PARTS.items() if part in names), None)


def _ole_kind(path: Path) -> str:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = (kind for stream, kind in _OLE if content.find(stream.encode("utf-16-le")) >= 0)
        return next(found, _OLE_OTHER)


def _picture_type(head: bytes) -> str | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    for magic, kind in _PICTURES:
        # "BM" is also the beginning of words; in a picture its size and four zeros follow.
        if head.startswith(magic) and (kind != BMP or head[6:10] == bytes(4)):
            return kind
    return None


def _binary_kind(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _FTYP.get(head[8:12], _MEDIA)
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], _MEDIA)
    if head[257:262] == b"ustar":
        return _ARCHIVE
    for magic, kind in _MAGIC:
        # Some signatures are also words: a text may begin with "BM" or "MZ".
        if head.startswith(magic) and not (magic.isalnum() and looks_like_text(head)):
            return kind
    return None


def _refuse(name: str, kind: str) -> NoReturn:
    raise UnknownType(f"{name} is {kind}. {TAKEN}")
