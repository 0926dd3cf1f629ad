"""Numbers, sizes and times in the words of people."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

UNITS = ("bytes", "KB", "MB", "GB", "TB")


def count(number: int, word: str, words: str = "") -> str:
    """`1 page`, `12 pages`."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"


def size(amount: int) -> str:
    """`930 bytes`, `1.2 MB`."""
    value, unit = float(amount), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {UNITS[unit]}"


def duration(seconds: float) -> str:
    """`0.4 s`, `25 s`, `3 min`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(at: datetime) -> str:
    """`just now`, `5 minutes ago`, `14:05 today`, `3 Nov 2026, 14:05` on the clock of the browser."""
    zone = _zone()
    here, today = at.astimezone(zone), datetime.now(UTC).astimezone(zone)
    passed = (today - here).total_seconds()
    if passed < 60:
        return "just now"
    if passed < 3600:
        return count(int(passed // 60), "minute") + " ago"
    if here.date() == today.date():
        return f"{here:%H:%M} today"
    return f"{here.day} {here:%b %Y, %H:%M}"


def moment_of(seconds: float) -> str:
    """The same for seconds since 1970."""
    return moment(datetime.fromtimestamp(seconds, UTC))


def _zone() -> tzinfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
