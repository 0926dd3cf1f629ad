"""Outlook messages (MSG): properties in the streams of an OLE container, which olefile opens."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders import inside
from ingest.loaders.clean import one_line
from ingest.loaders.decode import decode
from ingest.loaders.draft import Block, Draft, listed_names
from ingest.loaders.textkinds import MSG
from ingest.loaders.web import HIDDEN, read_page, stated_encoding

if TYPE_CHECKING:
    from olefile import OleFileIO

PROPERTIES = "__properties_version1.0"
DEEPEST = 5
MOST_ATTACHMENTS = 500
# Property numbers of [MS-OXPROPS].
CLASS, SUBJECT, BODY, HTML_BODY, SENT, DELIVERED = 0x001A, 0x0037, 0x1000, 0x1013, 0x0039, 0x0E06
SENDER, SENDER_ADDRESS, SENDER_SMTP, TO, CC = 0x0C1A, 0x0C1F, 0x5D01, 0x0E04, 0x0E03
LONG_NAME, SHORT_NAME, SHOWN_NAME, CONTENT, CONTENT_ID, IS_HIDDEN = 0x3707, 0x3704, 0x3001, 0x3701, 0x3712, 0x7FFE
_UNICODE, _BYTES, _BINARY, _OBJECT, _TIME = "001F", "001E", "0102", "000D", 0x0040
_DAMAGE = (OSError, ValueError, KeyError, IndexError, struct.error, AttributeError, TypeError, OverflowError)


def is_message(path: Path) -> bool:
    """Whether an OLE container is an Outlook message, and no document with one inside."""
    import olefile

    try:
        with olefile.OleFileIO(str(path)) as ole:
            return bool(ole.exists(PROPERTIES))
    except _DAMAGE:
        return False


@dataclass(frozen=True, slots=True)
class OutlookLoader:
    """A message that was saved from Outlook."""

    version: int = 1
    library: str | None = "olefile"

    def load(self, path: Path, name: str) -> Document:
        import olefile

        draft = Draft(name)
        try:
            with olefile.OleFileIO(str(path)) as ole:
                message = _Message(ole, draft)
                about = message.about([])
                message.write([], level=1)
        except _DAMAGE as error:
            raise BadUpload(f"{name} is damaged: this message is not complete. Save it anew from Outlook.") from error
        return draft.document(MSG, title=about["subject"], metadata=about, warnings=message.warnings())


@dataclass(slots=True)
class _Message:
    """A message on its way into the draft; a place is the list of storages that lead to it."""

    ole: OleFileIO
    draft: Draft
    left_out: list[str] = field(default_factory=list)
    hides: bool = False

    def about(self, place: list[str]) -> dict[str, str]:
        """What the header says, for filters."""
        address = self._text(place, SENDER_SMTP) or self._text(place, SENDER_ADDRESS)
        name = self._text(place, SENDER)
        shown = f"{name} <{address}>" if "@" in address and address != name else name or address
        return {
            "author": one_line(shown),
            "to": one_line(self._text(place, TO)),
            "cc": one_line(self._text(place, CC)),
            "subject": one_line(self._text(place, SUBJECT)),
            "created": self._time(place, SENT) or self._time(place, DELIVERED),
        }

    def write(self, place: list[str], *, level: int) -> None:
        """Header, body, then what is attached."""
        if level > DEEPEST:
            raise BadUpload(f"{self.draft.name} is nested deeper than any real message. It was not read.")
        if "SMIME" in self._text(place, CLASS).upper() and "MULTIPARTSIGNED" not in self._text(place, CLASS).upper():
            raise BadUpload(f"{self.draft.name} is encrypted. Open it in Outlook and save its text.")
        about = self.about(place)
        self.draft.add(Block(about["subject"] or "(no subject)", level=level))
        shown = {"From": "author", "To": "to", "Cc": "cc", "Date": "created", "Subject": "subject"}
        self.draft.add(Block("\n".join(f"{word}: {about[key]}" for word, key in shown.items() if about[key])))
        for block in self._body(place):
            self.draft.add(block)
        for storage in self._attachments(place):
            self._attachment([*place, storage], level + 1)

    def warnings(self) -> list[str]:
        found = [f"Attachments that were not read: {listed_names(self.left_out)}."] if self.left_out else []
        return [*found, HIDDEN] if self.hides else found

    def _body(self, place: list[str]) -> list[Block]:
        """The HTML form, which has tables and links, else the plain one."""
        if html := self._bytes(place, HTML_BODY, _BINARY):
            text = decode(html, stated=stated_encoding(html)).text
        else:
            text = self._text(place, HTML_BODY)
        try:
            page = read_page(text, self.draft.name) if text.strip() else None
        except NoText:
            page = None
        plain = self._text(place, BODY).strip("\r\n")
        if page is None or sum(len(block.text) for block in page.blocks) < len(plain) // 3:
            return [Block(plain)]
        self.hides = self.hides or page.hides
        return page.blocks

    def _attachments(self, place: list[str]) -> Iterator[str]:
        depth = len(place)
        found = {
            entry[depth]
            for entry in self.ole.listdir(streams=True, storages=False)
            if len(entry) > depth + 1 and entry[:depth] == place and entry[depth].startswith("__attach_version1.0_")
        }
        yield from sorted(found)[:MOST_ATTACHMENTS]

    def _attachment(self, place: list[str], level: int) -> None:
        name = next(filter(None, (self._text(place, key) for key in (LONG_NAME, SHORT_NAME, SHOWN_NAME))), "attachment")
        message = [*place, f"__substg1.0_{CONTENT:04X}{_OBJECT}"]
        if self.ole.exists([*message, PROPERTIES]):
            self.write(message, level=level)
            return
        data = self._bytes(place, CONTENT, _BINARY)
        if data.lstrip().startswith(b"-----BEGIN PGP MESSAGE"):
            raise BadUpload(f"{self.draft.name} is encrypted. Open it in Outlook and save its text.")
        if not data.strip():
            self.left_out.append(f"{inside.shown_name(name)} (empty)")
        elif inside.add(self.draft, data, name, level=level):
            self.left_out.append(inside.shown_name(name))

    def _text(self, place: list[str], key: int) -> str:
        if wide := self._bytes(place, key, _UNICODE):
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        return decode(self._bytes(place, key, _BYTES)).text.rstrip("\0")

    def _bytes(self, place: list[str], key: int, kind: str) -> bytes:
        stream = [*place, f"__substg1.0_{key:04X}{kind}"]
        if not self.ole.exists(stream):
            return b""
        with self.ole.openstream(stream) as content:
            return bytes(content.read())

    def _time(self, place: list[str], key: int) -> str:
        """A time from the list of short properties, as ISO 8601; "" when it is not there."""
        listed = [*place, PROPERTIES]
        if not self.ole.exists(listed):
            return ""
        with self.ole.openstream(listed) as content:
            data = bytes(content.read())
        for start in range(24 if place else 32, len(data) - 15, 16):
            kind, number, _, value = struct.unpack_from("<HHIQ", data, start)
            if (kind, number) == (_TIME, key):
                moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=value // 10)
                return moment.replace(microsecond=0).isoformat()
        return ""
