"""RTF: read word by word into paragraphs, headings and tables.

Libraries for RTF give one run of text: they lose headings and tables, and they keep hidden and deleted text. The
grammar is small, so it is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from core.errors import BadUpload
from core.types import Document
from ingest.loaders.detect import RTF
from ingest.loaders.draft import Block, Draft
from ingest.loaders.rtf_blocks import Collector
from ingest.loaders.rtf_tokens import charset_codec, code_page_codec, tokens

DEEPEST = 1_000
# Groups that hold no text of the document. Those with \* in front are left out too, but for the ones below.
_LEFT_OUT = frozenset(
    (
        "colortbl", "pict", "object", "objdata", "fldinst", "xe", "tc", "rxe", "themedata", "colorschememapping",
        "datastore", "listtable", "listoverridetable", "revtbl", "rsidtbl", "generator", "filetbl", "template",
        "private1", "sp", "sn", "sv", "fontemb", "fontfile", "panose", "falt", "atnid", "atnauthor", "atrfstart",
        "atrfend", "atndate", "atnref", "pgdsctbl", "xmlnstbl", "ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "ftncn",
        "aftncn", "bkmkstart", "bkmkend", "nonshppict", "background", "mmathPr", "latentstyles", "nonesttables",
        "shprslt",
    )
)  # fmt: skip
_READ_ALL_THE_SAME = frozenset(("shpinst", "shptxt", "footnote", "nesttableprops"))
_PLACES = {
    "info": "info", "title": "title", "author": "author", "subject": "subject", "keywords": "keywords",
    "creatim": "created", "revtim": "modified", "fonttbl": "fonts", "stylesheet": "styles", "footnote": "note",
    "header": "header", "headerl": "header", "headerr": "header", "headerf": "header", "footer": "footer",
    "footerl": "footer", "footerr": "footer", "footerf": "footer", "annotation": "comment",
}  # fmt: skip
_IN_INFO = ("title", "author", "subject", "keywords", "created", "modified")
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "emspace": " ", "enspace": " ", "qmspace": " ",
    "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
}  # fmt: skip
_SIGNS = {"~": " ", "_": "-", "\\": "\\", "{": "{", "}": "}", "\t": "\t"}
_CLOCK = ("yr", "mo", "dy", "hr", "min", "sec")


@dataclass(slots=True)
class _State:
    """What holds inside the present group."""

    place: str = "text"
    skipped: bool = False
    hidden: bool = False
    font: int = 0
    after_unicode: int = 1  # how many characters stand for readers that know no Unicode


@dataclass(frozen=True, slots=True)
class RtfLoader:
    """Rich Text Format, as Word, LibreOffice, WordPad and others write it."""

    version: int = 1
    library: str | None = None

    def load(self, path: Path, name: str) -> Document:
        reader = _Reader(name)
        reader.read(path.read_bytes())
        draft = Draft(name)
        for block in reader.blocks():
            draft.add(block)
        warnings = ["Hidden or deleted text was left out."] if reader.hides else []
        if reader.comments:
            warnings.append(f"{reader.comments} {'comment was' if reader.comments == 1 else 'comments were'} left out.")
        about = reader.about()
        return draft.document(RTF, title=about.pop("title"), metadata=about, warnings=warnings)


@dataclass(slots=True)
class _Fonts:
    """Codecs of the fonts, as far as the table of fonts has been read."""

    codecs: dict[int, str | None] = field(default_factory=dict)
    default: int = 0
    page: str = "cp1252"

    def codec(self, font: int) -> str:
        return self.codecs.get(font) or self.page


class _Reader:
    """Follows the groups of a file; text goes to the collector of its place."""

    def __init__(self, name: str) -> None:
        self.hides = False
        self.comments = 0
        self._name = name
        self._states = [_State()]
        self._fonts = _Fonts()
        self._starred = self._fresh = False
        self._to_skip = 0
        self._text = Collector()
        self._margins = {"header": Collector(), "footer": Collector()}
        self._notes: list[Collector] = []
        self._written: dict[str, list[str]] = {}
        self._clock: dict[str, dict[str, int]] = {}
        self._pending: list[str] = []
        self._codec = "latin-1"
        self._words: Mapping[str, Callable[[int | None], None]] = {
            "ansicpg": self._code_page, "mac": lambda _: self._code_page(10000), "pc": lambda _: self._code_page(437),
            "pca": lambda _: self._code_page(850), "deff": self._default_font, "f": self._font,
            "fcharset": self._charset, "plain": lambda _: self._plain(), "v": self._hide, "deleted": self._hide,
            "uc": self._unicode_length, "u": self._unicode,
        }  # fmt: skip

    def read(self, data: bytes) -> None:
        """Raises BadUpload for groups nested as in no real file."""
        for kind, value, number in tokens(data):
            if kind == "open":
                self._open()
            elif kind == "close":
                self._close()
            elif kind == "word":
                self._word(value, number)
            elif kind == "sign":
                self._sign(value)
            else:
                self._letters(value, coded=True)
        self._flush()

    def blocks(self) -> list[Block]:
        header, footer = (Block(text) for text in (self._margins[kind].said() for kind in ("header", "footer")))
        return [header, *self._text.blocks(), *(block for note in self._notes for block in note.blocks()), footer]

    def about(self) -> dict[str, str]:
        """What the file says about itself, by our names."""
        said = {kind: "".join(self._written.get(kind, [])).strip() for kind in _IN_INFO}
        return said | {kind: _moment(self._clock.get(kind, {})) for kind in ("created", "modified")}

    @property
    def _state(self) -> _State:
        return self._states[-1]

    def _open(self) -> None:
        self._flush()
        if len(self._states) > DEEPEST:
            raise BadUpload(f"{self._name} is nested as no real document is. It was not opened: save it as .docx.")
        self._states.append(replace(self._state))
        self._fresh, self._starred, self._to_skip = True, False, 0

    def _close(self) -> None:
        self._flush()
        if len(self._states) > 1:
            closed = self._states.pop()
            if closed.place == "note" and self._state.place != "note" and not closed.skipped:
                self._collector("text").follow(self._notes.pop().blocks())
            elif closed.place == "styles" and self._state.place == "styles":
                self._text.end_style("".join(self._written.pop("styles", [])))
        self._fresh, self._to_skip = False, 0

    def _word(self, word: str, number: int | None) -> None:
        fresh, starred = self._fresh, self._starred
        self._fresh = self._starred = False
        if self._to_skip and word != "u":
            self._to_skip -= 1
            return
        if fresh and self._enter(word, starred):
            return
        if self._state.skipped:
            return
        if word in self._words:
            if word not in ("u", "uc"):
                self._flush()
            self._words[word](number)
        elif word in _CHARACTERS:
            self._letters(_CHARACTERS[word])
        elif word in _CLOCK and self._state.place in ("created", "modified"):
            self._clock.setdefault(self._state.place, {})[word] = number or 0
        else:
            self._flush()
            self._collector(self._state.place).word(word, number)

    def _enter(self, word: str, starred: bool) -> bool:
        """Whether the first word of a group says what the group is."""
        state = self._state
        place = _PLACES.get(word)
        if word in _LEFT_OUT or (starred and word not in _READ_ALL_THE_SAME and place is None):
            state.skipped = True
        elif place in _IN_INFO and state.place != "info":
            return False  # a word of the same name elsewhere
        elif place == "comment":
            self.comments += not state.skipped
            state.skipped = True
        elif place is not None:
            if place == "note" and not state.skipped:
                self._notes.append(Collector())
            state.place = place
        else:
            return False
        return True

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self._starred = True
            return
        self._fresh = False
        if self._to_skip:
            self._to_skip -= 1
        elif self._state.skipped:
            return
        elif sign in "\r\n":
            self._collector(self._state.place).word("par", None)
        elif sign in _SIGNS:
            self._letters(_SIGNS[sign])

    def _letters(self, text: str, *, coded: bool = False) -> None:
        """Add text; `coded` are bytes of the present font's character set."""
        self._fresh = False
        if self._to_skip and coded:
            skipped = min(self._to_skip, len(text))
            self._to_skip -= skipped
            text = text[skipped:]
        state = self._state
        if state.skipped or not text:
            return
        if state.hidden and state.place != "styles":
            self.hides = self.hides or bool(text.strip())
            return
        codec = self._fonts.codec(state.font) if coded else ""
        if codec != self._codec:
            self._flush()
            self._codec = codec
        self._pending.append(text)

    def _flush(self) -> None:
        """Write what has been collected, so that letters of several bytes come together."""
        if not self._pending:
            return
        text = "".join(self._pending)
        self._pending.clear()
        if self._codec:
            text = text.encode("latin-1").decode(self._codec, "replace")
        else:  # halves of a character beyond the first 65,536 come as two
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        place = self._state.place
        if place in _IN_INFO or place == "styles":
            self._written.setdefault(place, []).append(text)
        elif place not in ("fonts", "info"):
            self._collector(place).add(text)

    def _collector(self, place: str) -> Collector:
        if place == "note" and self._notes:
            return self._notes[-1]
        return self._margins.get(place, self._text)

    def _code_page(self, number: int | None) -> None:
        self._fonts.page = code_page_codec(number or 1252)

    def _default_font(self, number: int | None) -> None:
        self._fonts.default = self._state.font = number or 0

    def _font(self, number: int | None) -> None:
        self._state.font = number or 0

    def _charset(self, number: int | None) -> None:
        if self._state.place == "fonts":
            self._fonts.codecs[self._state.font] = charset_codec(number or 0) if number else None

    def _plain(self) -> None:
        self._state.font, self._state.hidden = self._fonts.default, False

    def _hide(self, number: int | None) -> None:
        self._state.hidden = number != 0

    def _unicode_length(self, number: int | None) -> None:
        self._state.after_unicode = max(0, min(number if number is not None else 1, 10))

    def _unicode(self, number: int | None) -> None:
        if number is not None and -0x8000 <= number < 0x10000:
            self._letters(chr(number % 0x10000))
        self._to_skip = self._state.after_unicode


def _moment(clock: Mapping[str, int]) -> str:
    """A moment in ISO 8601; "" where the file names none that can be."""
    try:
        moment = datetime(*(clock.get(part, 0) for part in _CLOCK))  # type: ignore[arg-type]
    except ValueError:
        return ""
    return moment.isoformat()
