"""RTF as words, braces and bytes; what the letters of a document are coded in."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping

# kind and value: ("word", name, number), ("byte", …), ("sign", character), ("open"), ("close"), ("text", …)
Token = tuple[str, str, int | None]

_TOKEN = re.compile(
    rb"\\(?:([a-zA-Z]{1,32})(-?\d{1,9})?[ ]?|'([0-9a-fA-F]{2})|([^a-zA-Z]))|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.S
)
_CHARSETS: Mapping[int, str] = {
    0: "cp1252", 77: "mac-roman", 78: "shift_jis", 79: "cp949", 80: "gb2312", 81: "big5", 83: "mac-greek",
    84: "mac-cyrillic", 85: "mac-greek", 86: "mac-turkish", 88: "mac-cyrillic", 128: "cp932", 129: "cp949",
    130: "johab", 134: "cp936", 136: "cp950", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256",
    186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
_CODE_PAGES = {10000: "mac-roman", 65001: "utf-8"}


def tokens(data: bytes) -> Iterator[Token]:
    """The tokens of a file; binary data is stepped over. Takes time in proportion to the length."""
    at = 0
    while found := _TOKEN.match(data, at):
        at = found.end()
        word, number, byte, sign, brace, text = found.groups()
        if word is not None:
            value = int(number) if number is not None else None
            if word == b"bin":
                at += max(0, value or 0)
            yield "word", word.decode(), value
        elif byte is not None:
            yield "byte", chr(int(byte, 16)), None
        elif sign is not None:
            yield "sign", sign.decode("latin-1"), None
        elif brace is not None:
            yield "open" if brace == b"{" else "close", "", None
        elif text is not None:
            yield "text", text.decode("latin-1"), None


def charset_codec(charset: int) -> str | None:
    """The codec of a font's character set; None for symbols and for what the document's own code page decides."""
    return _CHARSETS.get(charset)


def code_page_codec(number: int) -> str:
    """The codec of a code page; that of Western Europe when it is not known."""
    name = _CODE_PAGES.get(number, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
