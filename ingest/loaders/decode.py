"""Bytes to text: byte order mark, then wide encodings, then UTF-8, then a guess."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from ingest.loaders.clean import REPLACEMENT
from ingest.loaders.encodings import older_encoding, wide_encoding

SAMPLE = 64 << 10
_MARKS = (  # the longer ones first: the mark of UTF-32-LE begins like that of UTF-16-LE
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_STATED = ("utf-8", "utf-16", "iso8859", "iso2022_jp", "cp", "koi8", "shift_jis", "euc_", "gb", "big5", "mac-")
_JAPANESE_MAIL = re.compile(rb"\x1b\$[@B]")  # the escape with which ISO-2022-JP begins to write Japanese
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x1b"))


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the encoding it was in, whether that was guessed, and how many places could not be read."""

    text: str
    encoding: str
    guessed: bool = False

    @property
    def replaced(self) -> int:
        return self.text.count(REPLACEMENT)

    @property
    def warnings(self) -> list[str]:
        warnings = []
        if self.guessed:
            warnings.append(f"The file does not say how its letters are coded; it was read as {self.encoding}.")
        if replaced := self.replaced:
            places = "place" if replaced == 1 else "places"
            warnings.append(f"{replaced:,} {places} could not be read as {self.encoding} and show as {REPLACEMENT}.")
        return warnings


def decode(data: bytes, *, stated: str = "") -> Decoded:
    """The text of a file; `stated` is what the file itself says its encoding is, if it does."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return Decoded(data[len(mark) :].decode(encoding, "replace"), encoding)
    if wide := wide_encoding(data):
        return Decoded(data.decode(wide, "replace"), wide)
    try:
        if _JAPANESE_MAIL.search(data[:SAMPLE]):
            return Decoded(data.decode("iso2022_jp"), "iso2022_jp")
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        if _mostly_utf8(data):
            return Decoded(data.decode("utf-8", "replace"), "utf-8")
    if known := _known(stated):
        return Decoded(data.decode(known, "replace"), known)
    guess = older_encoding(data)
    return Decoded(data.decode(guess, "replace"), guess, guessed=True)


def looks_like_text(head: bytes) -> bool:
    """Whether bytes can be text in any encoding: hardly a control character, once wide encodings are allowed for."""
    if any(head.startswith(mark) for mark, _ in _MARKS) or wide_encoding(head):
        return True
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls <= len(head) // 20


def _mostly_utf8(data: bytes) -> bool:
    """A UTF-8 file with a few broken bytes: far more sequences hold together than not."""
    sample = data[: SAMPLE * 4]
    broken = sample.decode("utf-8", errors="replace").count(REPLACEMENT)
    whole = len(re.findall(rb"[\xc3-\xf4][\x80-\xbf]+", sample))
    return whole > 3 * broken


def _known(encoding: str) -> str | None:
    """The codec for what a file states, if it is one that documents are written in (never UTF-7, zlib and the like)."""
    try:
        name = codecs.lookup(encoding.strip()).name if encoding and encoding.isascii() else ""
    except (LookupError, ValueError):
        return None
    if name in ("ascii", "iso8859-1"):
        return "cp1252"  # as browsers do: nearly every page that says Latin-1 means it
    return name if name.startswith(_STATED) else None
