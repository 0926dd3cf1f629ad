"""Whether a reply says an expected answer: compared as words, once numbers, dates, case and articles are alike."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

ARTICLES = frozenset(("a", "an", "the"))
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december")  # fmt: skip
SHORT_MONTHS = {month[:3]: month for month in MONTHS} | {"sept": "september"}
SMALL = re.findall(
    r"\w+",
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen""",
)
TENS = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
VALUES = {word: number for number, word in enumerate(SMALL)} | {word: 10 * n for n, word in enumerate(TENS, 2)}
MULTIPLES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
ORDINALS = dict(
    zip(
        re.findall(
            r"\w+",
            """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
            fifteenth sixteenth seventeenth eighteenth nineteenth twentieth""",
        ),
        ["1st", "2nd", "3rd", *(f"{number}th" for number in range(4, 21))],
        strict=True,
    )
)
GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,]\d)|(?<![\d.,])\d{1,3}(?:[\u00a0\u202f']\d{3})+(?!\d)")
POINTED = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:\.\d{3})+(?=,\d))(?:,(\d+))?(?!\d)")
ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?!\d)")
# Letters of scripts that put no blanks between words stand alone, so that any part of a sentence can be found.
TOKEN = re.compile(
    r"\d+(?:\.\d+)?(?:st|nd|rd|th)?(?![^\W_])|[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|\d+(?:\.\d+)?|[^\W_\d]+"
)
LONG_WORD, ENDING = 4, 3  # letters: a word as long as that may have an ending as long as this in the reply


def says(reply: str, answers: Sequence[str]) -> bool:
    """Whether the reply holds one of the answers; "yes" and "no" must come first in it."""
    held = tokens(reply)
    return any(_holds(held, tokens(answer), reply, answer) for answer in answers)


def overlap(reply: str, answers: Sequence[str]) -> float:
    """The best F1 of the words of the reply and of an answer, from 0 to 1."""
    return max((_f1(tokens(reply), tokens(answer)) for answer in answers), default=0.0)


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[str, ...]:
    """The words of a text in the form in which they are compared."""
    plain = GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    plain = POINTED.sub(lambda found: found[1].replace(".", "") + (f".{found[2]}" if found[2] else ""), plain)
    plain = unicodedata.normalize("NFKC", plain).casefold()
    plain = ISO_DATE.sub(_iso, plain).replace("%", " percent ").replace("per cent", "percent")
    words = [word for word in TOKEN.findall(plain) if word not in ARTICLES]
    return tuple(_dated(_numbered(words)))


def _holds(held: Sequence[str], answer: Sequence[str], reply: str, raw: str) -> bool:
    if not answer:
        return bool(raw.strip()) and raw.strip().casefold() in reply.casefold()
    if answer in (("yes",), ("no",)):
        return tuple(held[:1]) == answer
    *front, last = answer
    size = len(front)
    for place in range(len(held) - size):
        if list(held[place : place + size]) == front and _same(held[place + size], last):
            return True
    return False


def _same(word: str, answer: str) -> bool:
    if word == answer:
        return True
    longer = len(word) - len(answer)
    return answer.isalpha() and len(answer) >= LONG_WORD and word.startswith(answer) and longer <= ENDING


def _f1(reply: Sequence[str], answer: Sequence[str]) -> float:
    common = sum((Counter(reply) & Counter(answer)).values())
    return 2 * common / (len(reply) + len(answer)) if common else 0.0


def _iso(found: re.Match[str]) -> str:
    month = int(found[2])
    return f"{found[1]} {MONTHS[month - 1]} {int(found[3])}" if 1 <= month <= 12 else found[0]


def _numbered(words: Sequence[str]) -> list[str]:
    """Number words as digits: "two hundred" and "200", "1.5 million" and "1500000" become the same."""
    out: list[str] = []
    total: float | None = None  # of the number that is being read; `group` is its part below the next multiple
    group = 0.0
    digits = False

    def close() -> None:
        nonlocal total, group, digits
        if total is not None:
            out.append(_plain(total + group))
        total, group, digits = None, 0.0, False

    for word in words:
        if word in VALUES:
            fits = total is None or (not digits and _goes_on(group, VALUES[word]))
            if not fits:
                close()
            total, group = total or 0.0, group + VALUES[word]
        elif word in MULTIPLES and total is not None:
            factor = MULTIPLES[word]
            total, group = (total, group * factor) if factor == 100 else (total + group * factor, 0.0)
            digits = digits and factor != 100
        elif re.fullmatch(r"\d+(?:\.\d+)?", word):
            close()
            total, group, digits = 0.0, float(word), True
        elif word == "and" and total is not None and not digits and group and group % 100 == 0:
            continue  # two hundred and five
        else:
            close()
            out.append(ORDINALS.get(word, word))
    close()
    return out


def _goes_on(group: float, value: int) -> bool:
    """Whether a number word can follow within one number: hundred before ten before one."""
    if group % 100 == 0:
        return True
    return group % 100 >= 20 and group % 10 == 0 and 0 < value < 10


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:.6f}".rstrip("0")


def _dated(words: Sequence[str]) -> list[str]:
    """Dates in one order, year, month, day, of which any part can be found."""
    out: list[str] = []
    place = 0
    while place < len(words):
        month = _month(words[place])
        if month is None:
            out.append(words[place])
            place += 1
            continue
        before = _day(out[-1]) if out else None
        if before is None and len(out) > 1 and out[-1] == "of" and (before := _day(out[-2])) is not None:
            out.pop()
        after = words[place + 1 :]
        day, rest = (None, 1) if not after or _day(after[0]) is None else (_day(after[0]), 2)
        if before is not None:
            out.pop()
            day, rest = before, 1
        year = words[place + rest] if place + rest < len(words) and _is_year(words[place + rest]) else None
        out += [part for part in (year, month, day) if part]
        place += rest + (1 if year else 0)
    return out


def _month(word: str) -> str | None:
    return word if word in MONTHS else SHORT_MONTHS.get(word)


def _day(word: str) -> str | None:
    found = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", word)
    return str(int(found[1])) if found and 1 <= int(found[1]) <= 31 else None


def _is_year(word: str) -> bool:
    return len(word) == 4 and word.isdecimal()
