"""ZIP packages (office files, EPUB, plain archives) are looked over before any library opens them.

What they say about themselves is read here too: title, author and dates stand in a part of their own.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import BadUpload

MOST_ENTRIES = 5_000
MOST_BYTES = 256 << 20
# Office XML shrinks to a tenth, tables to a fiftieth; what shrinks further and is large was made to fill memory.
MOST_RATIO = 200
FREE_BYTES = 4 << 20
BLOCK = 1 << 20
LOCAL_HEADER = 30
ENCRYPTED = 0x1
LARGEST_NOTE = 1 << 20  # bytes of a part that only says something about the file

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)
_MARKUP = (".xml", ".rels", ".opf", ".ncx", ".vml")
_PAGES = (".xhtml", ".html", ".htm")
_ENTITY = b"<!ENTITY"
_OUTSIDE = re.compile(r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)|\0")
_ISO = re.compile(r"(\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d)?)?)?)?)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?$")
_DC = "{http://purl.org/dc/elements/1.1/}"
_TERMS = "{http://purl.org/dc/terms/}"
_CORE = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"
_CORE_PART = "docProps/core.xml"
_PROPERTIES = (
    ("title", _DC + "title"), ("author", _DC + "creator"), ("subject", _DC + "subject"),
    ("keywords", _CORE + "keywords"), ("created", _TERMS + "created"), ("modified", _TERMS + "modified"),
    ("language", _DC + "language"),
)  # fmt: skip


def check_package(path: Path, name: str, *, archive: bool = False) -> None:
    """Raise BadUpload for a package that is damaged, encrypted, or larger inside than it may be.

    The sizes that the package states are checked first, then every entry is unpacked once and counted. The parts of
    an office file must not define entities; what an `archive` holds is its members' own affair.
    """
    with opened(path, name) as package:
        entries = package.infolist()
        _check_names(entries, name)
        _check_stated(entries, path.stat().st_size, name)
        left = MOST_BYTES
        for entry in entries:
            left -= _unpack(package, entry, left, name, archive)


@contextmanager
def opened(path: Path, name: str) -> Iterator[zipfile.ZipFile]:
    """The package, for reading. Raises BadUpload when it, or a part read from it, is damaged."""
    try:
        with zipfile.ZipFile(path) as package:
            yield package
    except _BROKEN as error:
        raise BadUpload(
            f"{name} is damaged: its parts cannot be unpacked. Open it in its program and save it anew."
        ) from error


def parse_xml(data: bytes) -> Any:
    """The root element of a part. Raises lxml's XMLSyntaxError, also for elements nested more than 256 deep."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    return etree.fromstring(data, parser)


def damaged(name: str, program: str) -> BadUpload:
    """What to raise when a package is sound but its parts are not."""
    return BadUpload(f"{name} is damaged: its parts do not fit together. Open it in {program} and save it anew.")


def properties(path: Path, name: str) -> dict[str, str]:
    """What an Office file of 2007 and later says about itself, by our names; empty where it says nothing."""
    from lxml.etree import XMLSyntaxError

    with opened(path, name) as package:
        try:
            if package.getinfo(_CORE_PART).file_size > LARGEST_NOTE:
                return {}
            root = parse_xml(package.read(_CORE_PART))
        except (KeyError, XMLSyntaxError):
            return {}
    found = {ours: (root.findtext(theirs) or "").strip() for ours, theirs in _PROPERTIES}
    return found | {key: iso_date(found[key]) for key in ("created", "modified")}


def iso_date(text: str) -> str:
    """A date or moment in ISO 8601 without fractions of seconds; "" for anything else."""
    found = _ISO.match(text.strip())
    return found[1] + (found[2] or "" if "T" in found[1] else "") if found else ""


def _check_names(entries: Sequence[zipfile.ZipInfo], name: str) -> None:
    for entry in entries:
        if _OUTSIDE.search(entry.orig_filename.replace("\\", "/")):
            raise BadUpload(f"{name} holds a file that would be unpacked outside of its folder. It was not opened.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BadUpload(f"{name} holds a link instead of a file. It was not opened: pack the files themselves.")


def _check_stated(entries: Sequence[zipfile.ZipInfo], size: int, name: str) -> None:
    if len(entries) > MOST_ENTRIES:
        raise BadUpload(f"{name} has {len(entries):,} parts inside, more than any document needs. It was not opened.")
    if any(entry.flag_bits & ENCRYPTED for entry in entries):
        raise BadUpload(f"{name} is password-protected. Remove the password and upload it again.")
    stated = sum(entry.file_size for entry in entries)
    if stated > MOST_BYTES or stated > max(FREE_BYTES, size * MOST_RATIO):
        raise BadUpload(
            f"{name} would unpack to {stated >> 20:,} MB from {max(1, size >> 10):,} KB, as no real document does. "
            "It was not opened."
        )
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise BadUpload(f"{name} is damaged: its parts overlap. Open it in its program and save it anew.")
        end = entry.header_offset + LOCAL_HEADER + entry.compress_size


def _unpack(package: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, name: str, archive: bool) -> int:
    """How many bytes the entry really has; markup must not define entities."""
    count, head, tail = 0, b"", b""
    with package.open(entry) as stream:
        while block := stream.read(BLOCK):
            head = head or block[:100]
            count += len(block)
            if count > left:
                raise BadUpload(f"{name} unpacks to more than {MOST_BYTES >> 20} MB. Split it into smaller files.")
            if not archive and _is_markup(entry.filename, head):
                seen = tail + (block.replace(b"\0", b"") if b"\0" in head else block)
                if _ENTITY in seen:
                    raise BadUpload(
                        f"{name} defines entities, as no real document does. It was not opened: save it anew."
                    )
                tail = seen[-len(_ENTITY) :]
    return count


def _is_markup(part: str, head: bytes) -> bool:
    """Pages of a book may have any document type: they are read as HTML, which knows no entities of its own."""
    part = part.lower()
    return part.endswith(_MARKUP) or (b"<?xml" in head.replace(b"\0", b"") and not part.endswith(_PAGES))
