"""Words of a document around a quotation, and a passage with what was cut from it before a model read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.documents import DocumentText
from core.types import Citation, Page, Passage
from pages.ui.markdown import lines, marked

BEFORE, AFTER = 300, 1500  # characters that are shown around a quotation: it must be seen without scrolling
BLANKS = re.compile(r"\s+")
GONE = "This document was deleted."
CHANGED = "This document was read again since, and says something else here: the words of then are not kept."
CUT = " :gray-badge[:material/content_cut: cut] "


def surroundings(found: Sequence[Citation], text: DocumentText, page: Page | None) -> str:
    """The words around the quotations, no further than their page, with the quotations marked."""
    first, last = (page.start, page.end) if page else (0, len(text.text))
    quoted = min(citation.start for citation in found)
    low = max(first, quoted - BEFORE)
    if low > first and (blank := BLANKS.search(text.text, low, quoted)):
        low = blank.end()  # no half words
    high = min(last, max(citation.end for citation in found) + AFTER)
    before, after = "… " if low > first else "", " …" if high < last else ""
    shift = len(before) - low
    spans = [(citation.start + shift, citation.end + shift) for citation in found]
    return marked(before + text.text[low:high] + after, spans)


def is_cut(passage: Passage) -> bool:
    """Whether the model was shown only parts of this passage."""
    shown = sum(end - start for start, end in passage.kept)
    return bool(passage.kept) and shown < len(passage.text.strip())


def as_shown(passage: Passage) -> str:
    """The parts of a passage that the model was shown, with a sign where something was cut."""
    if not is_cut(passage):
        return lines(passage.text)
    parts = [passage.text[start - passage.start : end - passage.start].strip() for start, end in passage.kept]
    before = CUT if passage.kept[0][0] > passage.start else ""
    after = CUT if passage.kept[-1][1] < passage.start + len(passage.text.rstrip()) else ""
    return before + CUT.join(lines(part) for part in parts) + after


def whole(passage: Passage) -> str:
    """The whole passage, with what the model was shown of it set off."""
    return marked(
        passage.text,
        [(start - passage.start, end - passage.start) for start, end in passage.kept],
        style="green-background",
    )
