"""What encoding bytes are in that do not say it: one under which they become words of a language that uses it.

Wide encodings (two or four bytes for a letter) are told by what comes out of them, older ones by charset-normalizer,
whose guess is checked by the language of the result: many encodings fit the same bytes, few make sense of them.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator

from ingest.loaders.languages import language_of

SAMPLE = 64 << 10  # bytes
SEEN = 2_000  # letters of it that are looked at
CLOSE = 0.85  # share of ASCII and of the four commonest rows of Unicode in what is written in one alphabet
_FAR_EAST = -1
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_WEST = frozenset(
    (
        "de",
        "en",
        "es",
        "fr",
        "it",
        "pt",
        "nl",
        "sv",
        "da",
        "no",
        "fi",
        "is",
        "ca",
        "gl",
        "eu",
        "af",
        "sq",
        "id",
        "ms",
        "ga",
        "cy",
        "lb",
        "la",
    )
)
_CENTRE = frozenset(("pl", "cs", "sk", "hu", "sl", "hr", "bs", "ro", "sr"))
_CYRILLIC = frozenset(("ru", "uk", "bg", "be", "mk", "sr", "kk", "mn", "tg"))
_Family = tuple[tuple[str, ...], frozenset[str]]
_LATIN: tuple[_Family, ...] = (
    (("cp1252", "cp850", "mac_roman"), _WEST),
    (("cp1254", "cp857"), frozenset(("tr", "az"))),
    (("cp1250", "iso8859_2", "cp852"), _CENTRE),
    (("cp1257",), frozenset(("lt", "lv", "et"))),
    (("cp1258",), frozenset(("vi",))),
)
_FAMILIES: tuple[_Family, ...] = (
    *_LATIN,
    (("cp1251", "koi8_r", "iso8859_5", "cp866", "mac_cyrillic"), _CYRILLIC),
    (("cp1253", "iso8859_7"), frozenset(("el",))),
    (("cp1256", "iso8859_6"), frozenset(("ar", "fa", "ur"))),
    (("cp1255",), frozenset(("he", "yi"))),
    (("cp874",), frozenset(("th",))),
    (("shift_jis", "cp932", "euc_jp"), frozenset(("ja",))),
    (("cp949",), frozenset(("ko",))),
    (("gb18030", "big5hkscs"), frozenset(("zh",))),
)
_COMMON_WIDE = frozenset(" \n\r\u3000\u3001\u3002\uff0c\uff0e\uff01\uff1f\uff1a")
_RARE = ("Cc", "Cn", "Co", "Cs")
_MARKS = frozenset("’‘“”„‚«»‹›–—…·°´®™§،؛؟।\u0300\u0301\u0303\u0309\u0323")
# The commonest letters of Chinese and of Japanese: a text that was decoded wrongly has next to none of them.
_COMMON = frozenset(
    "的一是不了在人有我他这個个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实，。、「」"
)


def wide_encoding(data: bytes) -> str | None:
    """The wide encoding that these bytes make sense in; None when none is plausible."""
    sample = data[: SAMPLE // 4 * 4]
    if len(sample) < 8 or not (b"\0" in sample or _beyond_utf8(sample)):
        return None
    best, most = None, 0.0
    for encoding in _WIDE:
        text = _decoded(sample, encoding)
        if text and (score := _sense(text, few_zeros=sample.count(0) * 50 < len(sample))) > most:
            best, most = encoding, score
    return best


def older_encoding(data: bytes) -> str:
    """The most likely encoding of bytes that are no Unicode."""
    lines = data[:SAMPLE].rsplit(b"\n", 1)[0]  # a sample that ends within a letter would speak against its encoding
    sample = lines or data[:SAMPLE]
    guess = _normalizer_guess(sample)
    own = next((family for family in _FAMILIES if guess in family[0]), None)
    if own is not None and own not in _LATIN and language_of(_decoded(sample, guess)) in own[1]:
        return guess
    # An accent here and there means one of the Latin encodings, letter after letter one of the others.
    letters = sum(65 <= byte | 32 <= 122 for byte in sample[:SEEN])
    families = _LATIN if sum(byte > 127 for byte in sample[:SEEN]) < 0.4 * letters else _FAMILIES[len(_LATIN) :]
    found = [(odd, place, encoding) for place, (encoding, odd) in enumerate(_fitting(sample, guess, families))]
    return min(found)[2] if found else guess


def _normalizer_guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None or "cp1252" in best.could_be_from_charset:
        return "cp1252"  # several fit equally well: take the most common
    return best.encoding


def _fitting(sample: bytes, guess: str, families: tuple[_Family, ...]) -> Iterator[tuple[str, float]]:
    """Encodings under which the sample has a language that is written in them, with their share of odd signs."""
    for encodings, languages in families:
        for encoding in sorted(encodings, key=lambda name: name != guess):
            text = _decoded(sample, encoding)
            if text and language_of(text) in languages and (odd := _oddness(text)) < 0.5:
                yield encoding, odd


def _oddness(text: str) -> float:
    """How much of what is not ASCII in a text stands where nobody would write it; from 0 to 1."""
    seen = text[: SEEN * 4]
    foreign = sum(c > "\x7f" for c in seen)
    far_east = [c for c in seen if c > "\u2e80"]
    if len(far_east) > foreign / 2:
        return 0.8 * (1 - min(1.0, 3 * sum(_is_common(c) for c in far_east) / (len(far_east) or 1)))
    odd = 0
    for before, c, after in zip(" " + seen, seen, seen[1:] + " ", strict=False):
        if c > "\x7f" and not c.isspace():
            within = before.isalpha() or after.isalpha()
            odd += (before.islower() and c.isupper()) or (not c.isalpha() and within and c not in _MARKS)
    return min(1.0, odd / (foreign or 1))


def _is_common(c: str) -> bool:
    return c in _COMMON or "\u3041" <= c <= "\u30ff"  # all of the Japanese syllables


def _beyond_utf8(sample: bytes) -> bool:
    try:
        sample[:-4].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start < len(sample) - 8
    return False


def _decoded(sample: bytes, encoding: str) -> str:
    """The text of a sample; "" when it holds what the encoding does not know."""
    import codecs

    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return ""


def _sense(text: str, *, few_zeros: bool) -> float:
    """How likely it is that somebody wrote this text; 0 when nobody did."""
    seen = text[:SEEN]
    if any(unicodedata.category(c) in _RARE and c not in "\t\n\r\f\x1b\ufeff" for c in seen):
        return 0.0
    if len(seen) > 100 and not any(map(str.isspace, seen)):
        return 0.0
    rows = Counter(_row(c) for c in seen if c > "\x7f")
    if rows[_FAR_EAST] > len(seen) / 10:
        # Any pair of bytes is some sign of Chinese, so common marks and blanks have to stand among them.
        common = sum(c in _COMMON_WIDE or _is_common(c) for c in seen) / len(seen)
        return common if common > (0.1 if few_zeros else 0.03) else 0.0
    expected = len(seen) - rows.total() + sum(count for _, count in rows.most_common(4))
    return expected / len(seen) if expected > CLOSE * len(seen) else 0.0


def _row(c: str) -> int:
    row = ord(c) >> 8
    return _FAR_EAST if 0x2E <= row <= 0x9F or 0xAC <= row <= 0xD7 or row == 0xFF else row
