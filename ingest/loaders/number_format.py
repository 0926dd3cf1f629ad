"""Numbers, dates and times as a spreadsheet shows them: the format codes of Excel, for what people read in a cell.

Colours, padding and alignment say nothing and are left out. A date whose look depends on the reader's country is
written as in ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

Moment = datetime | date | time | timedelta

LONGEST_CODE = 255
_WITHOUT_END = (float("inf"), float("-inf"))
MOST_DECIMALS = 30
_TOKEN = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[([^\]]*)\]|(AM/PM|A/P|General|E[+-]|.)', re.I | re.S)
_SECTIONS = re.compile(r'((?:"[^"]*"|\\.|\[[^\]]*\]|[^;])*)(?:;|\Z)', re.S)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)")
_CURRENCY = re.compile(r"\$([^-]*)(?:-(.*))?")
_ELAPSED = re.compile(r"h+|m+|s+", re.I)
_COUNTRY = ("F800", "F400")  # "as the reader's system writes dates, times"
_BY_COUNTRY = ("mm-dd-yy", "m/d/yy h:mm", "m/d/yyyy", "m/d/yyyy h:mm", "m/d/yy")  # the built-in formats 14 and 22
_TESTS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b,
}  # fmt: skip


class _Section:
    """One part of a format code: literals (kind "") and signs, in order; `currency` is already a literal."""

    def __init__(self, code: str) -> None:
        self.tokens: list[tuple[str, str]] = []  # (kind, text); kind: "" literal, "#" sign, "[" elapsed time
        self.condition: tuple[str, float] | None = None
        self.by_country = code.lower() in _BY_COUNTRY
        for found in _TOKEN.finditer(code):
            quoted, escaped, bracket, sign = found.groups()
            if quoted is not None or escaped is not None:
                self.tokens.append(("", quoted if quoted is not None else escaped))
            elif bracket is not None:
                self._bracket(bracket)
            elif sign is not None:
                self.tokens.append(("#", sign))

    def _bracket(self, inside: str) -> None:
        if currency := _CURRENCY.match(inside):
            self.tokens.append(("", currency[1]))
            self.by_country = self.by_country or (currency[2] or "").upper() in _COUNTRY
        elif condition := _CONDITION.match(inside):
            self.condition = condition[1], float(condition[2])
        elif _ELAPSED.fullmatch(inside):
            self.tokens.append(("[", inside.lower()))

    def signs(self) -> str:
        return "".join(text for kind, text in self.tokens if kind == "#")


@lru_cache(maxsize=512)
def _sections(code: str) -> tuple[_Section, ...]:
    code = code[:LONGEST_CODE]
    parts = [found[1] for found in _SECTIONS.finditer(code) if found.end() > found.start()]
    return tuple(_Section(part) for part in parts) or (_Section("General"),)


def shown_number(value: int | float, code: str = "General") -> str:
    """A number as a cell of this format shows it; what is too strange for the format is shown plainly."""
    if value != value or value in _WITHOUT_END:
        return str(value)
    if code == "General":
        return _plain(value)
    section, number = _section_for(value, _sections(code))
    signs = section.signs()
    if "general" in signs.lower() or (not signs and not section.tokens):
        return _literals(section, "General", _plain(number))
    if not re.search(r"[0#?]", signs):
        return "".join(text for _, text in section.tokens).strip() if signs != "@" else _plain(value)
    if re.search(r"E[+-]", signs, re.I):
        decimals = len(re.sub(r".*\.|E.*", "", signs, flags=re.I)) if "." in signs else 0
        return f"{number:.{min(decimals, MOST_DECIMALS)}E}"
    return _fraction(number, section) if "/" in signs else _decimal(number, section)


def _section_for(value: float, sections: Sequence[_Section]) -> tuple[_Section, float]:
    """The section that a value takes, and the value to show in it: without its sign where the section says it."""
    for section in sections:
        if section.condition and _TESTS[section.condition[0]](value, section.condition[1]):
            return section, value
    plain = [section for section in sections if not section.condition][:3] or list(sections[:1])
    if value < 0 and len(plain) > 1:
        return plain[1], -value
    return (plain[2] if value == 0 and len(plain) > 2 else plain[0]), value


def _plain(value: int | float) -> str:
    """All digits that a number has, up to the fifteen that spreadsheets keep: an order number stays findable."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    text = f"{value:.10g}" if 1e-5 <= abs(value) < 1e11 else f"{value:.15g}"
    return text.replace("e", "E")


def _literals(section: _Section, sign: str, value: str) -> str:
    return "".join(value if text.lower() == sign.lower() else text for _, text in section.tokens).strip()


def _fraction(value: float, section: _Section) -> str:
    below = re.search(r"/\s*([?#0]+|\d+)", section.signs())
    places = below[1] if below else "?"
    most = int(places) if places.isdigit() and places.strip("0") else 10 ** min(len(places), 4) - 1
    whole = int(abs(value)) if re.search(r"[0#?]\s+[0#?]+\s*/", section.signs()) else 0
    part = Fraction(abs(value) - whole).limit_denominator(max(1, most))
    sign = "-" if value < 0 else ""
    if part.denominator == 1:
        return f"{sign}{whole + part.numerator}"
    return sign + (f"{whole} " if whole else "") + f"{part.numerator}/{part.denominator}"


def _decimal(value: float, section: _Section) -> str:
    """Digits from the right into their places; literals between places stay where they are."""
    tokens, signs = section.tokens, section.signs()
    places = [n for n, (kind, text) in enumerate(tokens) if kind == "#" and text in "0#?"]
    point = next((n for n, (kind, text) in enumerate(tokens) if kind == "#" and text == "."), places[-1] + 1)
    whole, after = [n for n in places if n < point], [n for n in places if n > point]
    commas = [n for n, (kind, text) in enumerate(tokens) if kind == "#" and text == ","]
    grouped = any(places[0] < n < (whole or places)[-1] for n in commas)
    power = 2 * signs.count("%") - 3 * sum(1 for n in commas if n > (whole or places)[-1])
    rounded = _rounded(value, power, min(len(after), MOST_DECIMALS))
    if rounded is None:
        return _plain(value)
    digits, _, decimals = f"{abs(rounded):f}".partition(".")
    least = len(after)  # decimals at a # are shown only as far as they say something
    while least and tokens[after[least - 1]][1] == "#" and decimals[least - 1 : least] in ("0", ""):
        least -= 1
    filled = {n: decimals[at : at + 1] if at < least else "" for at, n in enumerate(after)}
    filled |= _whole_places(digits.lstrip("0"), whole, tokens, grouped)
    shown = []
    for n, (kind, text) in enumerate(tokens):
        if n in filled:
            shown.append(filled[n])
        elif kind == "#" and (text == "," or (text == "." and not least)):
            continue
        else:
            shown.append(text)
    sign = "-" if rounded < 0 else ""
    return sign + "".join(shown).strip()


def _rounded(value: float, power: int, decimals: int) -> Decimal | None:
    """The value times ten to a power, rounded as people do (a half goes up); None when it has too many digits."""
    try:
        return Decimal(repr(value)).scaleb(power).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    except InvalidOperation:
        return None


def _whole_places(
    digits: str, places: Sequence[int], tokens: Sequence[tuple[str, str]], grouped: bool
) -> dict[int, str]:
    filled: dict[int, str] = {}
    written = 0
    for at, n in enumerate(reversed(places)):
        rest = digits if at == len(places) - 1 else digits[-1:]
        digits = digits[: len(digits) - len(rest)]
        text = ""
        for digit in reversed(rest or ("0" if tokens[n][1] == "0" else "")):
            text = digit + ("," if grouped and written and written % 3 == 0 else "") + text
            written += 1
        filled[n] = text
    return filled


def shown_moment(value: Moment, code: str) -> str:
    """A date, time or span of time as a cell of this format shows it."""
    section = _sections(code)[0]
    if section.by_country or "general" in section.signs().lower():
        untimed = isinstance(value, datetime) and "h" not in section.signs().lower()
        return _iso(datetime.date(value) if untimed and isinstance(value, datetime) else value)
    if isinstance(value, timedelta):
        return _span(value, section)
    moment = (
        value
        if isinstance(value, datetime)
        else datetime.combine(
            value if isinstance(value, date) else date(1899, 12, 31), value if isinstance(value, time) else time()
        )
    )
    moment += timedelta(microseconds=500)  # times are stored as fractions of a day: 11:59:59.9999 is noon
    return _calendar(moment, section).strip() or _iso(value)


def _iso(value: Moment) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else f"{value:%Y-%m-%d %H:%M}"
    return f"{value:%H:%M}" if isinstance(value, time) else str(value)  # str of a date is ISO 8601


def _runs(section: _Section) -> list[tuple[str, str]]:
    """The tokens with equal letters joined: yyyy, mm."""
    runs: list[tuple[str, str]] = []
    for kind, text in section.tokens:
        if (
            runs
            and kind == "#" == runs[-1][0]
            and len(text) == 1
            and text.lower() == runs[-1][1][-1:].lower()
            and text.isalnum()
        ):
            runs[-1] = kind, runs[-1][1] + text
        else:
            runs.append((kind, text))
    return runs


def _span(value: timedelta, section: _Section) -> str:
    seconds = round(abs(value.total_seconds()))
    shown, units = "", {"h": 3600, "m": 60, "s": 1}
    for kind, text in _runs(section):
        unit = units.get(text[:1].lower(), 0)
        if kind == "" or not unit:
            shown += text
            continue
        amount = seconds // unit if kind == "[" else seconds // unit % (24 if unit == 3600 else 60)
        shown += f"{amount:0{len(text)}d}"
    return ("-" if value < timedelta() else "") + shown.strip()


def _calendar(moment: datetime, section: _Section) -> str:
    runs = _runs(section)
    half = any(kind == "#" and text.upper() in ("AM/PM", "A/P") for kind, text in runs)
    letters = [text[0].lower() if kind in "#[" and text[:1].lower() in "ymdhs" else "" for kind, text in runs]
    parts = []
    for n, (kind, text) in enumerate(runs):
        if kind == "" or not (letters[n] or text.upper() in ("AM/PM", "A/P")):
            parts.append("" if kind == "#" and text == "@" else text)
        elif not letters[n]:
            parts.append(f"{moment:%p}" if len(text) > 3 else f"{moment:%p}"[0])
        else:
            before = next((letter for letter in reversed(letters[:n]) if letter), "")
            after = next((letter for letter in letters[n + 1 :] if letter), "")
            minutes = letters[n] == "m" and len(text) < 3 and (before == "h" or after == "s")
            parts.append(_part(moment, "minute" if minutes else letters[n], len(text), half))
    return "".join(parts)


def _part(moment: datetime, letter: str, length: int, half: bool) -> str:
    names = {"m": ("%b", "%B"), "d": ("%a", "%A")}
    if letter in names and length > 2:
        name = moment.strftime(names[letter][length > 3])
        return name[0] if letter == "m" and length == 5 else name
    if letter == "y":
        return f"{moment.year:04d}" if length > 2 else f"{moment.year % 100:02d}"
    hour = (moment.hour % 12 or 12) if half else moment.hour
    number = {"m": moment.month, "d": moment.day, "h": hour, "minute": moment.minute, "s": moment.second}[letter]
    return f"{number:02d}" if length > 1 else str(number)
