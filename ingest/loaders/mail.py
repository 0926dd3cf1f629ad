"""Mails (EML, mbox): header, body and attachments, with the parser of Python's own library.

Its old policy is used on purpose: it gives every header and body back as bytes, however broken, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders import inside
from ingest.loaders.clean import one_line
from ingest.loaders.decode import decode
from ingest.loaders.draft import Block, Draft, listed_names
from ingest.loaders.textkinds import MAIL
from ingest.loaders.web import HIDDEN, read_page

SHOWN = ("From", "To", "Cc", "Date", "Subject")
MOST_PARTS = 2_000
MOST_MAILS = 100_000
LONGEST_HEADER = 2_000
DEEPEST = 20
_SEPARATOR = re.compile(rb"(?:\A|\n\r?\n)From [^\r\n]{1,200}\r?\n(?=[\w-]+:)")
_SIGNATURES = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")


@dataclass(frozen=True, slots=True)
class MailLoader:
    """A mail, or a mailbox of many."""

    version: int = 1
    library: str | None = None

    def load(self, path: Path, name: str) -> Document:
        data = narrow(path.read_bytes())
        draft = Draft(name)
        mailbox = _mails(data)
        mails = [_Mail(draft, parsed(mail, name)) for mail in mailbox[:MOST_MAILS]]
        for mail in mails:
            mail.write(level=1)
        warnings = [*dict.fromkeys(warning for mail in mails for warning in mail.warnings())]
        if len(mailbox) > MOST_MAILS:
            warnings.append(f"Only the first {MOST_MAILS:,} of {len(mailbox):,} mails were read. Split the mailbox.")
        about = mails[0].about if len(mails) == 1 else {}
        return draft.document(MAIL, title=about.get("subject", ""), metadata=about, warnings=warnings)


def narrow(data: bytes) -> bytes:
    """A mail that a program stored in UTF-16 as bytes that the parser knows."""
    decoded = decode(data)
    return decoded.text.encode() if decoded.encoding.startswith(("utf-16", "utf-32")) else data


def parsed(data: bytes, name: str) -> Message:
    """The message in bytes. Raises BadUpload when it is nested too deep."""
    from email import message_from_bytes
    from email.policy import compat32

    try:
        return message_from_bytes(data, policy=compat32)
    except RecursionError as error:
        raise BadUpload(f"{name} is nested deeper than any real mail. It was not read.") from error


def _mails(data: bytes) -> list[bytes]:
    """The mails of a mailbox, or the one that it is."""
    if not data.startswith(b"From "):
        return [data]
    edges = [found.span() for found in _SEPARATOR.finditer(data)]
    ends = [start for start, _ in edges[1:]]
    return [data[start:end] for (_, start), end in zip(edges, [*ends, len(data)], strict=False)] or [data]


@dataclass(slots=True)
class _Mail:
    """One message on its way into the draft."""

    draft: Draft
    message: Message
    left_out: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    pictures: int = 0
    hides: bool = False
    parts: int = 0

    @property
    def about(self) -> dict[str, str]:
        """What the header says, for filters."""
        date = header(self.message, "Date")
        return {
            "author": header(self.message, "From"),
            "to": header(self.message, "To"),
            "cc": header(self.message, "Cc"),
            "subject": header(self.message, "Subject"),
            "created": iso_date(date),
        }

    def write(self, *, level: int) -> None:
        """Header, body, then what is attached."""
        self._message(self.message, level)

    def warnings(self) -> list[str]:
        found = list(self.reasons)
        if self.left_out:
            found.append(f"Attachments that were not read: {listed_names(self.left_out)}.")
        if self.pictures:
            count = f"{self.pictures:,} {'picture' if self.pictures == 1 else 'pictures'}"
            found.append(f"{count} within the text were left out.")
        return [*found, HIDDEN] if self.hides else found

    def _message(self, message: Message, level: int) -> None:
        if level > DEEPEST:
            raise BadUpload(f"{self.draft.name} is nested deeper than any real mail. It was not read.")
        self.draft.add(Block(header(message, "Subject") or "(no subject)", level=min(level, 6)))
        lines = [f"{key}: {value}" for key in SHOWN if (value := header(message, key))]
        self.draft.add(Block("\n".join(lines)))
        attached = list(self._body(message))
        for part in attached:
            self._attachment(part, level + 1)

    def _body(self, part: Message, depth: int = 0) -> Iterator[Message]:
        """Write what is shown as text; give back what is attached."""
        self.parts += 1
        if self.parts > MOST_PARTS or depth > DEEPEST:
            raise BadUpload(f"{self.draft.name} has more parts than any real mail. It was not read.")
        kind = part.get_content_type()
        inner = part.get_payload()
        if kind in _SEALED and (kind == _SEALED[2] or _param(part, "smime-type") != "signed-data"):
            raise BadUpload(f"{self.draft.name} is encrypted. Open it in your mail program and save its text.")
        if kind == "multipart/alternative" and isinstance(inner, list):
            yield from self._best(_messages(inner), depth + 1)
        elif part.get_content_maintype() == "multipart" and isinstance(inner, list):
            for child in _messages(inner):
                yield from self._body(child, depth + 1)
        elif kind in ("text/plain", "text/html") and not _is_attached(part):
            for block in self._blocks(part):
                self.draft.add(block)
        else:
            yield part

    def _best(self, choices: list[Message], depth: int) -> Iterator[Message]:
        """Of several forms of one text the HTML, which has tables and links, unless it says less than the plain one."""
        texts = {part.get_content_type(): part for part in choices if part.get_content_maintype() == "text"}
        plain, page = texts.get("text/plain"), texts.get("text/html")
        if plain is not None and page is not None:
            counts = [sum(len(block.text.split()) or 1 for block in self._blocks(part)) for part in (plain, page)]
            texts.pop("text/html" if counts[1] < counts[0] * 0.8 else "text/plain")
        for part in choices:
            if part.get_content_maintype() != "text" or part in texts.values():
                yield from self._body(part, depth)

    def _blocks(self, part: Message) -> list[Block]:
        text = body_text(part)
        if part.get_content_type() == "text/plain":
            return [Block(text.strip("\n"))]
        try:
            page = read_page(text, self.draft.name)
        except NoText:
            return []
        self.hides = self.hides or page.hides
        return page.blocks

    def _attachment(self, part: Message, level: int) -> None:
        inner = part.get_payload()
        kind = part.get_content_type()
        if kind == "message/rfc822" and isinstance(inner, list) and inner and isinstance(inner[0], Message):
            self._message(inner[0], level)
        elif kind in _SIGNATURES:
            self.reasons.append("It is signed; the signature was not checked.")
        elif part.get_content_maintype() == "image" and part.get("Content-ID") and not _is_attached(part):
            self.pictures += 1
        else:
            name = file_name(part)
            data = part.get_payload(decode=True)
            if not isinstance(data, bytes) or not data.strip():
                self.left_out.append(f"{name} (empty)")
            elif inside.add(self.draft, data, name, level=min(level, 6)):
                self.left_out.append(name)


def _messages(parts: list[Any]) -> list[Message]:
    return [part for part in parts if isinstance(part, Message)]


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _param(part: Message, key: str) -> str:
    value = part.get_param(key)
    return value.lower() if isinstance(value, str) else ""


def body_text(part: Message) -> str:
    """The text of a part in the encoding that it states, or the one that it has."""
    data = part.get_payload(decode=True)
    return decode(data, stated=part.get_content_charset() or "").text if isinstance(data, bytes) else ""


def file_name(part: Message) -> str:
    """The name of an attachment, or one made from its type."""
    name = _decoded(part.get_filename() or "")
    return inside.shown_name(name or f"attachment ({part.get_content_type()})".replace("/", " "))


def header(message: Message, key: str) -> str:
    """A header in one line, all of them when it is there several times."""
    raw = [value for name, value in message.raw_items() if name.lower() == key.lower()]
    return one_line(", ".join(_decoded(str(value)) for value in raw))[:LONGEST_HEADER]


def _decoded(raw: str) -> str:
    """A header's text: words of other encodings, or bytes that should have been such words."""
    from email.errors import HeaderParseError
    from email.header import decode_header

    if any("\udc80" <= c <= "\udcff" for c in raw):
        raw = decode(raw.encode("utf-8", "surrogateescape")).text
    try:
        words = decode_header(raw[: 4 * LONGEST_HEADER])
    except (HeaderParseError, ValueError):
        return raw
    return "".join(_word(word, charset or "") for word, charset in words)


def _word(word: bytes | str, charset: str) -> str:
    if isinstance(word, str):
        return word
    return decode(word, stated=charset).text if charset else word.decode("raw-unicode-escape", "replace")


def iso_date(text: str) -> str:
    """The date of a mail's header as ISO 8601; "" when it is none."""
    if found := re.match(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d)?", text):
        return found[0]
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
