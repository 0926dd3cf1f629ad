"""Scans and pictures: which pages need recognition, what becomes of them with it and without it."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from core.errors import BadUpload, Cancelled, MachineBusy, NoText, SettingsError
from core.types import Document, Heading, Page
from ingest import sandbox
from ingest.loaders.text_quality import GOOD, quality
from ingest.ocr.engine import Recognised, find_engine, from_tsv
from ingest.ocr.merge import with_recognised
from ingest.reading import ReadingOptions, Recognition, read
from tests.ingest.made import pdf

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")
OPTIONS = ReadingOptions(languages="eng")
SENTENCE = "The warranty of the espresso machine lasts for thirty months."


def page_picture(*lines: str) -> Image.Image:
    image = Image.new("L", (1700, 600), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((60, 60 + 80 * number), line, fill="black", font=ImageFont.load_default(44))
    return image


def saved(path: Path, *pages: Image.Image) -> Path:
    pages[0].save(path, save_all=len(pages) > 1, append_images=pages[1:])
    return path


@needs_tesseract
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tiff"])
def test_a_picture_is_read_whatever_its_format(tmp_path: Path, ending: str) -> None:
    document = read(saved(tmp_path / f"scan.{ending}", page_picture(SENTENCE)), "scan", OPTIONS)
    assert document.text == SENTENCE
    assert document.pictures == ()
    confidence = document.pages[0].confidence
    assert confidence is not None
    assert 0.8 < confidence <= 1


@needs_tesseract
def test_each_page_of_a_scan_is_kept_as_soon_as_it_is_read_and_never_read_again(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "scan.pdf", *(page_picture(f"This is page number {word}.") for word in ("one", "two", "three"))
    )
    kept: dict[int, Recognised] = {}
    reported: list[tuple[int, int]] = []
    earlier = {2: Recognised("What an earlier attempt has read.", 0.9)}
    recognition = Recognition(
        lambda _engine: earlier,
        lambda _engine, number, page: kept.__setitem__(number, page),
        lambda done, total: reported.append((done, total)),
    )
    document = read(path, "scan.pdf", OPTIONS, recognition=recognition)
    assert sorted(kept) == [1, 3]
    assert reported == [(1, 3), (2, 3), (3, 3)]
    texts = [document.text[page.start : page.end] for page in document.pages]
    assert texts == ["This is page number one.", "What an earlier attempt has read.", "This is page number three."]


@needs_tesseract
def test_recognition_is_cancelled_in_the_middle_of_a_page(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.png", page_picture(*[SENTENCE] * 6))
    began: list[int] = []
    kept: list[int] = []

    def cancelled() -> bool:
        return bool(began)

    with pytest.raises(Cancelled):
        read(
            path,
            "scan.png",
            OPTIONS,
            cancelled=cancelled,
            recognition=Recognition(
                keep=lambda _engine, number, _page: kept.append(number), report=lambda done, _all: began.append(done)
            ),
        )
    assert began
    assert kept == [], "the page was not read to its end"


@needs_tesseract
def test_a_recogniser_that_cannot_be_started_now_is_no_fault_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen

    def refuse(command: list[str], **more: Any) -> Any:
        if any("tesseract" in part for part in command):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return start(command, **more)

    find_engine("eng")  # which asks it for its languages, once
    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(MachineBusy, match="no room for more work now"):
        read(saved(tmp_path / "scan.png", page_picture(SENTENCE)), "scan.png", OPTIONS)


@needs_tesseract
def test_a_language_that_is_not_installed_is_named() -> None:
    with pytest.raises(SettingsError, match="names tlh, which Tesseract does not have"):
        find_engine("eng+tlh")


def test_without_recognition_a_scan_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "scan.pdf", page_picture(SENTENCE))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoText, match=r"scan.pdf holds pictures but no text, .* Install Tesseract"):
        read(path, "scan.pdf", OPTIONS)


def test_without_recognition_a_document_goes_in_without_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pypdf

    writer = pypdf.PdfWriter()
    (tmp_path / "text.pdf").write_bytes(pdf(["A page that holds text."]))
    for part in (tmp_path / "text.pdf", saved(tmp_path / "scan.pdf", page_picture(SENTENCE))):
        writer.append(part)
    writer.write(tmp_path / "mixed.pdf")
    monkeypatch.setenv("PATH", str(tmp_path))
    document = read(tmp_path / "mixed.pdf", "mixed.pdf", OPTIONS)
    assert document.text.strip() == "A page that holds text."
    assert document.pictures == (2,)
    assert document.warnings[0].startswith("Page 2 is a picture")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    (tmp_path / "flood.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")))
    with pytest.raises(BadUpload, match="flood.png has more than 40 million pixels"):
        sandbox.parse(tmp_path / "flood.png", "flood.png", seconds=10, memory_mb=512)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("The obligor shall pay the amount on the date that is stated in the agreement.", True),
        ("Die Garantie gilt für alle Geräte, die nach dem 1. Mai gekauft wurden.", True),
        ("保証期間は購入日から三十か月です。修理は無料で行います。", True),
        ("Total net sales 117,154 123,945 (2,450) 12.5%", True),
        ("\ue001\ue002\ue003 \ue004\ue005 \ufffd\ufffd\ufffd \ue001", False),
        ("|| .; ~' ,l _ i! ]] ;; :.,. ^ |l {} '' ~~ .. ;, |", False),
        ("Ifmmp Xpsme, uijt jt b ufyu jo xijdi fwfsz mfuufs ibt cffo npwfe cz pof qmbdf, bt csplfo gpout ep. Uif tibsft pg mfuuftst bsf uiptf pg op mbohvbhf uibu qfpqmf tqfbl, boe tp ju jt tffo.", False),
    ],
)  # fmt: skip
def test_quality_tells_language_from_noise(text: str, good: bool) -> None:
    assert (quality(text) >= GOOD) == good


def test_a_recognised_page_moves_what_comes_after_it() -> None:
    text = "First.\n\n\n\nThird, with a Heading"
    document = Document(
        "t", "application/pdf", text, pages=(Page(1, 0, 6), Page(2, 8, 8), Page(3, 10, len(text))),
        headings=(Heading(1, "Heading", text.index("Heading")),), pictures=(2,),
    )  # fmt: skip
    merged = with_recognised(document, {2: Recognised("Second, from its picture.", 0.9)})
    assert [merged.text[page.start : page.end] for page in merged.pages] == [
        "First.", "Second, from its picture.", "Third, with a Heading",
    ]  # fmt: skip
    assert [page.confidence for page in merged.pages] == [None, 0.9, None]
    assert merged.text[merged.headings[0].start :] == "Heading"
    assert merged.pictures == ()


def test_a_stamp_stays_beside_what_is_recognised() -> None:
    document = Document("t", "application/pdf", "Exhibit 17, Case 1:23", pages=(Page(1, 0, 21),), pictures=(1,))
    merged = with_recognised(document, {1: Recognised("A long letter about the lease of the house.", 0.9)})
    assert merged.text == "Exhibit 17, Case 1:23\nA long letter about the lease of the house."


def test_letters_made_out_of_a_photograph_are_left_out() -> None:
    document = Document("t", "image/png", "", pages=(Page(1, 0, 0),), pictures=(1,))
    assert with_recognised(document, {1: Recognised("~i |l ;", 0.2)}).text == ""


def test_words_of_tesseract_keep_their_lines_and_paragraphs() -> None:
    head = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
    rows = [(1, 1, 1, "90", 'He"llo'), (1, 1, 1, "70", "there"), (1, 1, 2, "80", "you"), (2, 1, 1, "80", "End")]
    table = "\n".join(
        [head, *(f"5\t1\t{b}\t{p}\t{line}\t1\t0\t0\t1\t1\t{conf}\t{text}" for b, p, line, conf, text in rows)]
    )
    found = from_tsv(table)
    assert found.text == 'He"llo there\nyou\n\nEnd'
    assert found.confidence == pytest.approx((90 * 6 + 70 * 5 + 80 * 6) / 17 / 100)
