"""The language of a question, which is often too short to be sure of it."""

from __future__ import annotations

from collections import Counter

from core.words.stems import script_of

# Scripts that nearly tell the language, as far as it matters for the choice between an embedder and words.
BY_SCRIPT = {
    "GREEK": "el", "CYRILLIC": "ru", "ARABIC": "ar", "HEBREW": "he", "DEVANAGARI": "hi", "BENGALI": "bn", "TAMIL": "ta",
    "TELUGU": "te", "THAI": "th", "LAO": "lo", "KHMER": "km", "MYANMAR": "my", "CJK": "zh", "HIRAGANA": "ja",
    "KATAKANA": "ja", "HANGUL": "ko", "GEORGIAN": "ka", "ARMENIAN": "hy",
}  # fmt: skip
TOLD_BY_SCRIPT = frozenset(BY_SCRIPT.values())
LOOKED_AT = 1000  # letters
KANA = ("HIRAGANA", "KATAKANA")


def tongue(text: str) -> str:
    """The code in ISO 639-1 of the language; "" where it cannot be told."""
    text = text[:LOOKED_AT]
    scripts = Counter(script_of(letter) for letter in text if letter.isalpha())
    if not scripts:
        return ""
    script = next((kana for kana in KANA if scripts[kana]), scripts.most_common(1)[0][0])
    return BY_SCRIPT.get(script, "") if script != "LATIN" else _detected(text)


def _detected(text: str) -> str:
    import pycld2

    try:
        _, _, found = pycld2.detect(text, isPlainText=True, bestEffort=True)
    except pycld2.error:
        return ""
    code = str(found[0][1]).split("-")[0]
    return "" if code == "un" else code
