"""The words of a text that mean something, with what each of them weighs: numbers most, names more than other words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

from core.words.stems import fold
from core.words.terms import Piece, pieces

NUMBER, NAME, PLAIN = 3.0, 2.0, 1.0
# Words that stand in nearly every text and mean nothing in another language (so neither "die" nor "war"): they rank
# nothing, bear nothing, and to look for one takes as long as for all others.
FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been but by could did do does for from had has have he her his how in into is it its of
        on or our she should so such than that the their them then there these they this those to was we were what
        where which who whom whose why with would you your
        der das dem des ein eine einer eines einem einen und oder ist sind mit von zu für auf wie wer wann wo welcher
        welche welches
        le la les une un du de et sont dans pour que qui quel quelle où quand
        el los las una en por para como cuál quién cuándo dónde
        il lo gli di che""",
    )
)


def weighted(text: str, language: str = "", *, without: Collection[str] = ()) -> dict[str, float]:
    """The terms of a text in a language (ISO 639-1) with their weights; words in `without` are left out.

    A name is a word with a capital that does not begin the text. Scripts without capitals have none.
    """
    found: dict[str, float] = {}
    for piece in telling(text, language):
        if piece.text in without:
            continue
        name = piece.start > 0 and piece.written[0].isupper()
        weight = NUMBER if piece.text[0].isdigit() else NAME if name else PLAIN
        for term in piece.terms:
            found[term] = max(found.get(term, 0.0), weight)
    return found


def telling(text: str, language: str = "") -> Iterator[Piece]:
    """The pieces of a text without its function words; a number is one piece: 4.72, and 12,000 as 12000."""
    text = unicodedata.normalize("NFKC", text)
    shouted = text.isupper()
    return (piece for piece in _numbers_whole(text, language) if not is_function_word(piece, shouted=shouted))


def is_function_word(piece: Piece, *, shouted: bool) -> bool:
    """Whether a word says nothing; "IT" and "WHO" are names where not everything is in capitals."""
    if not shouted and len(piece.written) > 1 and piece.written.isupper():
        return False
    # Turkish has another small I: "In" of a Turkish library is still the English word.
    return piece.text in FUNCTION_WORDS or fold(piece.text) in FUNCTION_WORDS


def _numbers_whole(text: str, language: str) -> Iterator[Piece]:
    before: Piece | None = None
    for piece in pieces(text, language):
        if before is not None:
            end = before.start + len(before.written)
            if text[end : piece.start] in (".", ",") and before.text[0].isdigit() and piece.text[0].isdigit():
                written = text[before.start : piece.start + len(piece.written)]
                number = written.replace(",", "").lower()
                before = Piece(number, (number,), True, written, before.start)
                continue
            yield before
        before = piece
    if before is not None:
        yield before
