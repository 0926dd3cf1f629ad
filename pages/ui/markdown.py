"""The one safe renderer: text of models, documents and people becomes Markdown that can do nothing but look like text.

`answer` lets through bold, italics, code, lists, headings, quotations and tables; every other sign is escaped.
Images are dropped, links become their address (which Streamlit makes clickable as it is written), HTML stays text,
and Streamlit's own directives, icons, emoji names, arrows and formulas are taken apart. What is not on the list cannot
get through, whole or cut off in the middle: there is one path for streamed and for finished text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from core.guard import visible

Links = Mapping[int, str]
NO_LINKS: Links = {}

JOINER = "\u2060"  # takes no room and no part in any pattern: it separates what must not be read as one name
NOTE = "\uf8ff"  # of private use: means nothing in any text
BLANK = "\u00a0"  # an empty line
SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#|~$:&@^=!])")
NAME = re.compile(r":(?=material/|(?!\d\d?:)[\w+-]+:)")  # these names are looked for after unescaping
SYMBOL = re.compile(r"(?<!\S)(<->|->|<-|--|>=|<=|~=)(?!\S)")
UNSPOKEN = re.compile(r"[^\w., ]+|_|\.(?!\w)")
LINE_START = re.compile(r"^([-+=]|\d+(?=[.)]))")

LINK = re.compile(r"(!?)\[([^\[\]\n]*)\]\(\s*<?((?:[^()\s<>]|\([^()\s<>]*\))*)>?(?:\s+[\"'][^\"'\n]*[\"'])?\s*\)")
WEB = re.compile(r"https?://[^\s/]", re.IGNORECASE)
INLINE = re.compile(
    r"(?<!`)(?P<tick>`{1,3})(?P<code>[^`\n]+)(?P=tick)(?!`)"
    r"|\*\*(?P<bold>[^\s*](?:[^*\n]*[^\s*])?)\*\*"
    r"|(?<![\w*])\*(?P<star>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<line>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"
    r"|[\[【]\s*(?:passages?\s*)?(?P<numbers>\d{1,2}(?:\s*[,;&]\s*\d{1,2})*)\s*[\]】]",
    re.IGNORECASE,
)
FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w+#.-]*)")
LANGUAGE = re.compile(r"[a-z][a-z0-9+#-]{0,19}")
HEADING = re.compile(r"^#{1,6}\s+(\S.*)$")
ITEM = re.compile(r"^(\s*)(?:[-*+•]|(\d{1,9})[.)])\s+(\S.*)$")
QUOTE = re.compile(r"^\s*>\s?(.*)$")
RULE = re.compile(r"^\s*([-*_=])(?:\s*\1){2,}\s*$")
TABLE_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$")
MARKER = "[:blue-badge["
INDENT = 4
DEEPEST = 4


def plain(text: str) -> str:
    """One line for labels, captions and messages: exactly these characters, and no Markdown."""
    return at_start(_escape(" ".join(visible(text).split())))


def spoken(text: str) -> str:
    """A name for a label that screen readers read as it is written: its words, and nothing to escape."""
    return " ".join(UNSPOKEN.sub(" ", visible(text)).split())


def words(text: str) -> str:
    """A piece of a line, to be put between others: exactly these characters, and no Markdown."""
    return _escape(visible(text))


def lines(text: str) -> str:
    """A text with its line ends for `st.markdown`: exactly these characters, and no Markdown."""
    return "  \n".join(at_start(_escape(line.strip())) or BLANK for line in visible(text).split("\n"))


def marked(text: str, spans: Sequence[tuple[int, int]], *, style: str = "orange-background") -> str:
    """Like `lines`, with these stretches of the text set off by one of Streamlit's styles and in bold."""
    shown, position = [], 0
    for line in text.split("\n"):
        inside = [(max(start - position, 0), min(end - position, len(line))) for start, end in sorted(spans)]
        shown.append(_marked_line(line, [(start, end) for start, end in inside if start < end], style))
        position += len(line) + 1
    return "  \n".join(shown)


def answer(text: str, links: Links = NO_LINKS) -> str:
    """The text of a model. `links` are the addresses that the markers [n] open; other markers stay text."""
    return "\n".join(_Blocks(links).render(visible(text).replace("\r\n", "\n").split("\n")))


def annotated(text: str, links: Links, notes: Sequence[tuple[int, str]]) -> str:
    """The text of a model with Markdown of ours behind some of its signs; `notes` are offsets and what stands there.

    The places are kept by a sign that no text may hold: what a model writes cannot look like a note.
    """
    clean, pieces, position = text.replace(NOTE, "?"), [], 0
    ordered = sorted(note for note in notes if 0 < note[0] <= len(text))
    for place, _ in ordered:
        pieces += [clean[position:place], NOTE]
        position = place
    parts = answer("".join([*pieces, clean[position:]]), links).split(NOTE)
    if len(parts) != len(ordered) + 1:  # a note fell into what is not shown, the address of a picture for one
        return answer(clean, links)
    shown, fenced = [parts[0]], _open_fences(parts[0])
    for (_, note), part in zip(ordered, parts[1:], strict=True):
        shown += ["" if fenced % 2 else f" {note}", part]
        fenced += _open_fences(part)
    return "".join(shown)


def _open_fences(text: str) -> int:
    """Lines that begin or end a block of code, where a note would be shown as it is written."""
    return sum(line.lstrip().startswith("```") for line in text.split("\n"))


class _Blocks:
    """Puts lines together; a blank line comes wherever the kind of block changes."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.out: list[str] = []
        self.kind = ""
        self.depths: list[int] = []  # indentations of the list items that are open

    def render(self, source: list[str]) -> list[str]:
        position = 0
        while position < len(source):
            position = self._take(source, position)
        return self.out

    def _take(self, source: list[str], at: int) -> int:
        """Render the block that begins at this line; return where the next one begins."""
        line = source[at]
        if fence := FENCE.match(line):
            return self._code(source, at, fence[1], fence[2].lower())
        if at + 1 < len(source) and "|" in line and TABLE_RULE.match(source[at + 1]):
            return self._table(source, at)
        if not line.strip() or RULE.match(line):
            self._put("", "" if self.kind != "item" else "item")
        elif heading := HEADING.match(line.strip()):
            self._put("#### " + self._inline(heading[1].rstrip("# ")), "heading", apart=True)
        elif item := ITEM.match(line):
            self._item(item)
        elif quote := QUOTE.match(line):
            self._put("> " + at_start(self._inline(quote[1].strip())), "quote")
        else:
            self._put(at_start(self._inline(line.strip())), "text")
        return at + 1

    def _put(self, line: str, kind: str, *, apart: bool = False) -> None:
        if line and self.out and self.out[-1] and (apart or kind != self.kind):
            self.out.append("")
        if kind != "item":
            self.depths.clear()
        self.out.append(line)
        self.kind = kind

    def _item(self, item: re.Match[str]) -> None:
        indentation = len(item[1].expandtabs(INDENT))
        self.depths = [depth for depth in self.depths if depth < indentation][: DEEPEST - 1]
        lead = " " * INDENT * len(self.depths) + (f"{item[2]}. " if item[2] else "- ")
        self._put(lead + at_start(self._inline(item[3].strip())), "item")
        self.depths.append(indentation)

    def _code(self, source: list[str], at: int, opened: str, language: str) -> int:
        end = at + 1
        while end < len(source) and not re.match(rf"^\s*{opened[0]}{{{len(opened)},}}\s*$", source[end]):
            end += 1
        content = source[at + 1 : end]
        longest = max((len(run) for line in content for run in re.findall(r"`+", line)), default=0)
        fence = "`" * max(3, longest + 1)
        known = language if LANGUAGE.fullmatch(language) and language != "mermaid" else ""
        self._put("\n".join([fence + known, *content, fence]), "code", apart=True)
        return end + 1

    def _table(self, source: list[str], at: int) -> int:
        header = _cells(source[at])
        rows = [self._row(header, len(header)), "| --- " * len(header) + "|"]
        end = at + 2
        while end < len(source) and "|" in source[end]:
            rows.append(self._row(_cells(source[end]), len(header)))
            end += 1
        self._put("\n".join(rows), "table", apart=True)
        return end

    def _row(self, cells: list[str], width: int) -> str:
        shown = [*cells, *[""] * width][:width]
        return "| " + " | ".join(self._inline(cell) for cell in shown) + " |"

    def _inline(self, text: str) -> str:
        for _ in range(3):  # an image inside a link, and once more; what is left after that is escaped
            text = LINK.sub(_without_link, text)
        return "".join(self._pieces(text))

    def _pieces(self, text: str) -> Iterable[str]:
        position = 0
        for found in INLINE.finditer(text):
            piece, before = self._piece(found), text[position : found.start()]
            yield _escape(before.rstrip() if piece.startswith(MARKER) else before)
            yield piece
            position = found.end()
        yield _escape(text[position:])

    def _piece(self, found: re.Match[str]) -> str:
        if found["code"]:
            return _code_span(found["code"])
        if found["bold"]:
            return f"**{''.join(self._pieces(found['bold']))}**"
        if words := found["star"] or found["line"]:
            return f"*{''.join(self._pieces(words))}*"
        numbers = [int(number) for number in re.findall(r"\d+", found["numbers"])]
        if all(number in self.links for number in numbers):
            return "".join(f"{MARKER}{number}]]({self.links[number]})" for number in numbers)
        return _escape(found[0])


def _marked_line(line: str, spans: Sequence[tuple[int, int]], style: str) -> str:
    pieces, position = [], 0
    for start, end in spans:
        quoted = line[max(start, position) : end]
        pieces.append(_escape(visible(line[position:start])))
        if quoted.strip():
            lead, tail = quoted[: len(quoted) - len(quoted.lstrip())], quoted[len(quoted.rstrip()) :]
            pieces.append(f"{lead}:{style}[**{_escape(visible(quoted.strip()))}**]{tail}")
        position = max(position, end)
    pieces.append(_escape(visible(line[position:])))
    return at_start("".join(pieces).strip()) or BLANK


def _escape(text: str) -> str:
    text = SYMBOL.sub(lambda found: found[0] + JOINER, NAME.sub(":" + JOINER, text))
    return SPECIAL.sub(r"\\\1", text)


def at_start(line: str) -> str:
    """A line whose first sign can start no list and underline no heading."""
    return LINE_START.sub(lambda found: found[0] + "\\" if found[0].isdigit() else "\\" + found[0], line)


def _without_link(found: re.Match[str]) -> str:
    image, words, address = found[1], found[2], found[3]
    if image or not WEB.match(address) or words == address:
        return words
    return f"{words} ({address})" if words.strip() else address


def _code_span(code: str) -> str:
    return f"`{code.strip()}`" if code.strip() else ""


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]
