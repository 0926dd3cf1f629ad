"""What a file is, from its bytes. The name decides only between kinds of text, which look alike inside."""

from __future__ import annotations

import mmap
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import NoReturn

from core.errors import BadUpload, UnknownType
from ingest.loaders.decode import looks_like_text

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
CSV = "text/csv"
JSON = "application/json"
PNG, JPEG, TIFF, WEBP = "image/png", "image/jpeg", "image/tiff", "image/webp"
BMP, GIF = "image/bmp", "image/gif"

HEAD = 64 << 10
TAKEN = "Groundwork reads PDF, DOCX, HTML, Markdown and plain text."

_TEXT_NAMES = {
    ".md": MARKDOWN, ".markdown": MARKDOWN, ".csv": CSV, ".tsv": CSV, ".json": JSON, ".jsonl": JSON, ".ndjson": JSON,
}  # fmt: skip
_HTML_NAMES = (".html", ".htm", ".xhtml")
_MAIL_NAMES = (".eml", ".mht", ".mhtml")

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
    ("PowerPoint Document", "an old PowerPoint file: save it as PDF"),
    ("Workbook", "an old Excel file: save the sheets as CSV or PDF"),
    ("__substg1.0_", "an Outlook message: save it as text or PDF"),
)
_OLE_OTHER = "an old or password-protected Word file (or another old Office file): save it as .docx without a password"
_PACKAGES = (
    ("xl/", "an Excel workbook: save the sheets as CSV or PDF"),
    ("ppt/", "a PowerPoint presentation: save it as PDF"),
    ("META-INF/container.xml", "an EPUB book: convert it to HTML or PDF"),
    ("META-INF/manifest.xml", "an OpenDocument file: save it as .docx or PDF"),
)
_MARKUP = re.compile(
    rb"<(!doctype html|html|head|body|title|h[1-6]|p|div|table|article|section|span|ul|ol|pre)[\s>/]", re.I
)
_HTML_ROOT = re.compile(rb"<(!doctype html|html)[\s>]", re.I)
_MAIL = re.compile(rb"(received|from|return-path|mime-version|message-id|date|delivered-to|x-[\w-]+): ", re.I)
_MARKDOWN_SIGNS = re.compile(rb"^(#{1,6} \S|```|\[[^\]\n]{1,80}\]\([^)\n]{1,200}\)|\| ?:?--)", re.M)


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
        _refuse(name, _ole_kind(path))
    if picture := _picture_type(head):
        return picture
    if kind := _binary_kind(head):
        _refuse(name, kind)
    if not looks_like_text(head):
        _refuse(name, "a binary file of a kind that is not known here")
    return _text_type(head, name)


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
            names = package.namelist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, OSError) as error:
        raise BadUpload(
            f"{name} is damaged: it looks like an office file or archive that was cut off. Save it anew."
        ) from error
    if "word/document.xml" in names:
        return DOCX
    for part, kind in _PACKAGES:
        if any(entry.startswith(part) for entry in names):
            _refuse(name, kind)
    if "[Content_Types].xml" in names:
        raise BadUpload(f"{name} is damaged: the text is missing from this office file. Save it anew.")
    _refuse(name, "a ZIP archive: unpack it and upload the files")


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


def _text_type(head: bytes, name: str) -> str:
    ending = PurePosixPath(name.lower()).suffix
    start = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"{\\rtf"):
        _refuse(name, "an RTF file: save it as .docx or PDF")
    if re.match(rb"(<\?xml[^>]*>\s*)?(<!--.{0,2000}?-->\s*)*(<!doctype svg[^>]*>\s*)?<svg[\s>]", start, re.I | re.S):
        _refuse(name, _PICTURE)
    if _HTML_ROOT.match(start):
        return HTML
    if ending in _TEXT_NAMES:
        return _TEXT_NAMES[ending]
    if start.startswith(b"<") and (_HTML_ROOT.search(start[:4096]) or _MARKUP.match(start)):
        return HTML
    if ending in _HTML_NAMES and _MARKUP.search(start):
        return HTML
    if ending in _MAIL_NAMES or _is_mail(start):
        _refuse(name, "an e-mail or a web archive: save its text as text or PDF")
    if ending == "" and len(_MARKDOWN_SIGNS.findall(start)) > 2:
        return MARKDOWN
    return TEXT


def _is_mail(start: bytes) -> bool:
    """At least three header lines in a row, one of which only mails have."""
    fields = re.split(rb"\r?\n(?![ \t])", start[:8192])[:30]
    header = fields[: next((n for n, line in enumerate(fields) if not re.match(rb"[\w-]+:", line)), len(fields))]
    return len(header) > 2 and sum(bool(_MAIL.match(line)) for line in header) > 2


def _refuse(name: str, kind: str) -> NoReturn:
    raise UnknownType(f"{name} is {kind}. {TAKEN}")
