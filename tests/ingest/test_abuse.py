"""Every hostile document of the abuse corpus through the sandbox, with the limits that the corpus asks for."""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from core.errors import BadUpload, NoText
from core.types import Document
from ingest import reading
from ingest.reading import ReadingOptions
from ingest.split import split
from tests.ingest.made import words

KINDS = ("pdf", "zip", "text", "prompt-injection", "xss")
LIMITS = ReadingOptions(seconds=10.0, memory_mb=1024, page_seconds=10.0)


@dataclass(frozen=True)
class Case:
    """A file of the corpus, what may become of it, and what did."""

    id: str
    file: str
    expected: tuple[str, ...]
    result: Document | BadUpload


@pytest.fixture(scope="module")
def cases(abuse_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Read all files once, two at a time; nothing may be left of it."""
    folder, scratch = abuse_corpus, tmp_path_factory.mktemp("scratch")
    entries = [e for e in json.loads((folder / "manifest.json").read_text()) if e["category"] in KINDS]
    before, others = tempfile.tempdir, set(psutil.Process().children())
    tempfile.tempdir = str(scratch)
    try:
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda entry: read(folder, entry), entries))
    finally:
        tempfile.tempdir = before
    assert list(scratch.iterdir()) == []
    left = set(psutil.Process().children()) - others  # a browser test's driver is none of ours
    assert not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]
    return {case.id: case for case in found}


def read(folder: Path, entry: dict[str, str]) -> Case:
    result: Document | BadUpload
    try:
        result = reading.read(folder / entry["file"], entry["file"], LIMITS)
    except BadUpload as refusal:
        result = refusal
    return Case(entry["id"], entry["file"], tuple(entry["expect"].split("|")), result)


def became(case: Case) -> set[str]:
    """What the corpus calls the result; a warning never makes an accepted file wrong."""
    if isinstance(case.result, NoText):
        return {"reject", "partial"}  # nothing to index, and said so
    if isinstance(case.result, BadUpload):
        return {"reject"}
    return {"accept", "sanitise", "partial"} if case.result.warnings else {"accept", "sanitise"}


def test_every_file_becomes_what_the_corpus_expects(cases: dict[str, Case]) -> None:
    assert len(cases) > 100
    surprises = {
        case.id: (case.expected, became(case), str(case.result)[:200])
        for case in cases.values()
        if not became(case) & set(case.expected)
    }
    assert surprises == {}


def test_every_refusal_names_the_file_the_reason_and_what_to_do(cases: dict[str, Case]) -> None:
    for case in cases.values():
        if isinstance(case.result, BadUpload):
            sentence = str(case.result)
            assert sentence.startswith(case.file + " ")
            rest = sentence.removeprefix(case.file)
            assert 1 <= len(re.findall(r"[.!?](?:\s|$)", rest)) <= 2, sentence
            assert not re.search(r"Error|Exception|Traceback|/tmp|\\", rest), sentence


def test_no_accepted_text_holds_what_nobody_sees(cases: dict[str, Case]) -> None:
    for case in cases.values():
        if isinstance(case.result, Document):
            strange = {c for c in case.result.text if unicodedata.category(c) in ("Cc", "Cs", "Cf", "Cn")} - set(
                "\n\t\u200d"
            )
            assert not strange, (case.id, strange)
            case.result.text.encode()


@pytest.mark.parametrize(
    "id", ["docx_hidden_injection", "html_injection_comment", "txt_tag_smuggling", "xlsx_hidden_sheet"]
)
def test_instructions_that_people_cannot_see_are_not_indexed(cases: dict[str, Case], id: str) -> None:
    result = cases[id].result
    assert isinstance(result, Document)
    assert "PWNED" not in result.text


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("txt_zero_width", "password"),
        ("txt_utf16be_bom", "The contract ends in 2031."),
        ("html_xss", "real text"),
        ("pdf_js_launch", ""),
        ("docx_macro", ""),
        ("epub_script", "chapter text"),
        ("xlsx_formula", "=HYPERLINK("),
    ],
)
def test_what_people_do_see_is_found(cases: dict[str, Case], id: str, words: str) -> None:
    result = cases[id].result
    assert isinstance(result, Document)
    assert words in result.text


def test_every_accepted_text_can_be_split(cases: dict[str, Case]) -> None:
    for case in cases.values():
        if isinstance(case.result, Document):
            chunks = split(case.result, count_tokens=words)
            assert 0 < len(chunks) <= 1 + len(case.result.text) // 16
