"""The receipt of a document in plain words. Older receipts lack fields, which are then not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from core.documents import DocumentInfo
from pages.ui import document_kinds
from pages.ui.figures import count, duration, moment, size
from pages.ui.markdown import plain

MOST_PAGES = 12  # numbers that are named
STAGES = {"reading": "reading", "splitting": "splitting", "embedding": "making vectors"}


def draw(document: DocumentInfo) -> None:
    """A table of facts, the self-test, and the warnings."""
    facts = {"File": plain(document.name), "Size": size(document.size), "Added": moment(document.created_at)}
    facts |= _about(document) | _content(document.receipt) | _making(document)
    st.table(facts, border="horizontal", width="content", alt="What was read from the document")
    _self_test(document.receipt.get("self_test"))
    for warning in _list(document.receipt.get("warnings")):
        st.warning(plain(str(warning)), icon=":material/warning:")


def instructions(receipt: Mapping[str, Any]) -> int:
    """How many stretches of the text look like instructions to a model."""
    return len(_list(receipt.get("instructions")))


def missed(receipt: Mapping[str, Any]) -> int:
    """How many sentences of the complete self-test were not found again."""
    result = receipt.get("self_test")
    if not isinstance(result, Mapping):
        return 0
    asked, back = number(result, "asked"), number(result, "hybrid")
    return max(0, asked - back) if asked is not None and back is not None else 0


def _about(document: DocumentInfo) -> dict[str, str]:
    facts = {
        "Type": document_kinds.kind(document.media_type) if document.media_type else "",
        "Language": document_kinds.language(document.language),
        "Author": plain(document.author),
        "Written": _date(document.written_at),
        "Changed": _date(document.changed_at),
        "Source": plain(document.source),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _content(receipt: Mapping[str, Any]) -> dict[str, str]:
    facts = {}
    if pages := number(receipt, "pages"):
        empty = _list(receipt.get("empty_pages"))
        facts["Pages"] = f"{pages:,}" + (f", {len(empty):,} without text: {_numbers(empty)}" if empty else "")
    if characters := number(receipt, "characters"):
        facts["Text"] = count(characters, "character") + _indexed(receipt)
    if scans := _scans(receipt):
        facts["Scans"] = scans
    for key, word in (("tables", "Tables"), ("headings", "Headings"), ("chunks", "Chunks")):
        if amount := number(receipt, key):
            facts[word] = f"{amount:,}"
    return facts


def _indexed(receipt: Mapping[str, Any]) -> str:
    """How much of the text can be found; blanks are not counted."""
    printed, indexed = number(receipt, "characters_printed"), number(receipt, "characters_indexed")
    if not printed or indexed is None:
        return ""
    if indexed >= printed:
        return ", all of it in the index"
    return f", {min(99.9, 100 * indexed / printed):.1f} % of it in the index"


def _scans(receipt: Mapping[str, Any]) -> str:
    """How many pages were recognised and how surely."""
    pages = [page for page in _list(receipt.get("ocr_pages")) if isinstance(page, Mapping)]
    sure = [(float(page["confidence"]), page.get("page")) for page in pages if _is_number(page.get("confidence"))]
    if not sure:
        return ""
    mean, (least, where) = sum(value for value, _ in sure) / len(sure), min(sure, key=lambda pair: pair[0])
    said = f"{count(len(sure), 'page')} recognised, {mean:.0%} sure"
    return said if len(sure) == 1 else f"{said} on average, {least:.0%} on page {where}"


def _making(document: DocumentInfo) -> dict[str, str]:
    """Who read it and how long that took."""
    receipt, facts = document.receipt, {}
    seconds = receipt.get("seconds")
    if isinstance(seconds, Mapping) and seconds:
        took = [(STAGES.get(stage, stage), time) for stage, time in seconds.items() if _is_number(time)]
        facts["Time"] = ", ".join(f"{plain(str(stage))} {duration(float(time))}" for stage, time in took)
    vectors, reused = number(receipt, "vectors"), number(receipt, "reused")
    if vectors:
        facts["Vectors"] = f"{vectors:,}" + (f", {reused:,} of them known before" if reused else "")
    for key, word in (("embedder", "Embedding model"), ("parser", "Read by"), ("splitter", "Split by")):
        if isinstance(said := receipt.get(key), str) and said:
            facts[word] = plain(said)
    if document.sha256:
        parts = (document.sha256[at : at + 16] for at in range(0, len(document.sha256), 16))
        facts["SHA-256"] = " ".join(parts)  # blanks let it wrap on a phone
    return facts


def _self_test(result: object) -> None:
    """What came back of the sentences that were asked, and which did not."""
    if not isinstance(result, Mapping) or not (asked := number(result, "asked")):
        return
    hybrid, keyword = number(result, "hybrid"), number(result, "keyword")
    back = hybrid if hybrid is not None else keyword
    if back is None:
        return
    how = "by words and meaning" if hybrid is not None else "by words; by meaning it is tested with its vectors"
    said = f"**Self-test: {back} of {count(asked, 'sentence')} found again.** "
    said += f"{'It was' if asked == 1 else 'They were'} drawn from the document, asked of the index ({how}), "
    said += "and counted when found among the first 5."
    missed = [f"- {plain(str(sentence))}" for sentence in _list(result.get("missed"))] if back < asked else []
    icon = ":green[:material/check_circle:]" if back >= asked else ":orange[:material/info:]"
    st.markdown("\n".join([f"{icon} {said}", *(["", "Not found again:", "", *missed] if missed else [])]))


def _date(at: datetime | None) -> str:
    return f"{at.day} {at:%b %Y}" if at is not None else ""


def _numbers(pages: Sequence[Any]) -> str:
    named = ", ".join(plain(str(page)) for page in pages[:MOST_PAGES])
    return f"{named} and {len(pages) - MOST_PAGES:,} more" if len(pages) > MOST_PAGES else named


def number(receipt: Mapping[str, Any], key: str) -> int | None:
    """A figure of a receipt; None when it is missing or no number."""
    found = receipt.get(key)
    return int(found) if _is_number(found) else None


def _is_number(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _list(found: object) -> Sequence[Any]:
    return found if isinstance(found, list | tuple) else ()
