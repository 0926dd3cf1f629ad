"""ZIP packages (DOCX now, other office formats later) are looked over before any library opens them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from core.errors import BadUpload

MOST_ENTRIES = 5_000
MOST_BYTES = 256 << 20
# Office XML shrinks to a tenth, tables to a fiftieth; what shrinks further and is large was made to fill memory.
MOST_RATIO = 200
FREE_BYTES = 4 << 20
BLOCK = 1 << 20
LOCAL_HEADER = 30
ENCRYPTED = 0x1


def check_package(path: Path, name: str) -> None:
    """Raise BadUpload for a package that is damaged, encrypted, or larger inside than it may be.

    The sizes that the package states are checked first, then every entry is unpacked once and counted.
    """
    try:
        with zipfile.ZipFile(path) as package:
            entries = package.infolist()
            _check_stated(entries, path.stat().st_size, name)
            left = MOST_BYTES
            for entry in entries:
                left -= _unpack(package, entry, left, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise BadUpload(
            f"{name} is damaged: its parts cannot be unpacked. Open it in its program and save it anew."
        ) from error


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


def _unpack(package: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, name: str) -> int:
    """How many bytes the entry really has; its text must not define entities."""
    count, head = 0, b""
    with package.open(entry) as stream:
        while block := stream.read(BLOCK):
            head = head or block
            count += len(block)
            if count > left:
                raise BadUpload(f"{name} unpacks to more than {MOST_BYTES >> 20} MB. Split it into smaller files.")
    if entry.filename.lower().endswith((".xml", ".rels")) and b"<!DOCTYPE" in head.replace(b"\0", b"").upper():
        raise BadUpload(f"{name} holds a document type definition, as no real office file does. It was not opened.")
    return count
