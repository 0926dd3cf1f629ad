"""Pages as pictures: the cited words are marked where they stand, however the text was cleaned, and nothing else is."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.documents import DocumentText
from core.errors import BadUpload, NotFound
from core.page_pictures import PagePictures
from core.services import Services
from core.types import Citation, Document, Page
from ingest import loaders
from ingest.loaders.page_view import MARK, write_view
from ingest.loaders.places import Wanted, find
from tests.conftest import SHARED
from tests.ingest.made import pdf

PAGES = ["The mill stands at the river.\nIt was built in 1688.", "The mill was sold in 1720.\nIt burned down twice."]


def view(
    tmp_path: Path, content: bytes, page: int, words: list[tuple[str, float]], name: str = "a.pdf"
) -> tuple[Image.Image, int]:
    path = tmp_path / "stored"
    path.write_bytes(content)
    stream = io.BytesIO()
    write_view(stream, path, name, {"page": page, "words": words})
    stream.seek(0)
    head = json.loads(stream.readline())
    return Image.frombytes("RGB", (head["width"], head["height"]), stream.read()), head["marked"]


def marked_box(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The box around everything that is in the colour of marks."""
    pixels = np.asarray(image)
    rows, columns = np.nonzero((pixels == np.array(MARK)).all(axis=2))
    return (int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())) if len(rows) else None


def test_the_quoted_line_is_marked_and_no_other(tmp_path: Path) -> None:
    image, marked = view(tmp_path, pdf(PAGES), 1, [("It was built in 1688.", 0.6)])
    assert marked == 1
    box = marked_box(image)
    assert box is not None
    scale = image.width / 600
    # The second line of the page is 14 points below the first, whose baseline is 40 points from the top.
    assert 40 * scale < box[1] < box[3] < 62 * scale
    assert 40 * scale < box[0] < 60 * scale


def test_a_quotation_over_two_lines_has_a_mark_for_each(tmp_path: Path) -> None:
    _, marked = view(tmp_path, pdf(PAGES), 2, [("The mill was sold in 1720.\nIt burned down twice.", 0.0)])
    assert marked == 2


def test_words_that_are_not_on_the_page_are_not_marked(tmp_path: Path) -> None:
    image, marked = view(tmp_path, pdf(PAGES), 1, [("The bishop crowned the king in the cathedral of Reims.", 0.5)])
    assert marked == 0
    assert marked_box(image) is None


def test_of_two_places_with_the_same_words_the_nearer_one_is_marked(tmp_path: Path) -> None:
    content = pdf(["The price is 5.\n" + "\n".join(f"Line {n} of the list." for n in range(20)) + "\nThe price is 5."])
    tops = []
    for share in (0.0, 0.95):
        image, marked = view(tmp_path, content, 1, [("The price is 5.", share)])
        assert marked == 1
        box = marked_box(image)
        assert box is not None
        tops.append(box[1])
    assert tops[0] < tops[1]


@pytest.mark.parametrize(
    ("page", "stored"),
    [
        ("a co\x02operation of ﬁve", "a cooperation of five"),
        ("Zurich  is\r\nlarge", "Zurich is large"),
        ("cafe\u0301 au lait", "café au lait"),
        ("soft\u00adhyphen here", "softhyphen here"),
        ("credit\ufffefinancing plan", "credit-financing plan"),
        ("Ⅷ ½ ①", "Ⅷ ½ ①"),
    ],
)
def test_words_are_found_however_both_are_spelled(page: str, stored: str) -> None:
    text = f"Before it. {page} After it."
    indexes = find(text, [Wanted(stored, 0.3)])
    assert indexes
    assert text[indexes[0] : indexes[-1] + 1].strip() == page.strip()


def test_a_row_of_a_table_is_found_by_its_cells() -> None:
    page = "Year\r\nSales\r\n2019\r\n4,000 kg\r\n2020\r\n5,500 kg"
    indexes = find(page, [Wanted("| 2020 | 5,500 kg |", 0.8)])
    assert "".join(page[index] for index in indexes) == "20205500kg"


def test_a_turned_page_is_marked_where_it_shows_the_words(tmp_path: Path) -> None:
    turned = pdf(PAGES).replace(b"/MediaBox[0 0 600 820]", b"/Rotate 90/MediaBox[0 0 600 820]")
    image, marked = view(tmp_path, turned, 1, [("The mill stands at the river.", 0.0)])
    assert image.width > image.height
    assert marked >= 1
    box = marked_box(image)
    assert box is not None
    assert box[3] - box[1] > box[2] - box[0], "the line runs downwards"


def test_a_picture_is_shown_without_marks(tmp_path: Path) -> None:
    stream = io.BytesIO()
    picture = Image.new("RGB", (3000, 2000), "white")
    ImageDraw.Draw(picture).rectangle((0, 0, 300, 300), fill="red")
    picture.save(stream, "PNG")
    image, marked = view(tmp_path, stream.getvalue(), 1, [("anything", 0.0)], "scan.png")
    assert marked == 0
    assert image.width == 1100
    assert image.getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("page", [0, 3, 99, -1])
def test_a_page_that_is_not_there_is_refused(tmp_path: Path, page: int) -> None:
    with pytest.raises(BadUpload):
        view(tmp_path, pdf(PAGES), page, [])


# --- from the web process, through the child ---


def stored(live: Services, content: bytes, name: str = "mill.pdf") -> tuple[str, Document]:
    added = live.documents.add(io.BytesIO(content), name=name, owner_id="local")
    path = live.documents.files.path(live.documents.get(added.document_id, owner_id="local").sha256)
    document = loaders.load(path, name)
    live.chunks.save_text(added.document_id, document, [], {"chunks": 0})
    return added.document_id, document


def citation(document_id: str, document: Document, quote: str) -> Citation:
    start = document.text.index(quote)
    return Citation(1, document_id, "Mill", None, "", quote, start, start + len(quote), 1.0)


def test_a_cited_page_is_drawn_once_and_then_kept(live: Services) -> None:
    id, document = stored(live, pdf(PAGES))
    text = DocumentText(document.text, document.pages)
    first = live.pictures.draw([citation(id, document, "sold in 1720")], text, owner_id="local")
    assert first is not None
    assert (first.page, first.marked) == (2, 1)
    shown = Image.open(io.BytesIO(first.png))
    assert shown.size == (1100, 1504)
    shown.load()
    assert live.pictures.draw([citation(id, document, "sold in 1720")], text, owner_id="local") is first


def test_many_long_quotations_in_any_script_still_have_their_page(live: Services) -> None:
    id, _ = stored(live, pdf(PAGES))
    text = DocumentText("я" * 30_000, (Page(1, 0, 30_000),))
    quotations = [Citation(n, id, "T", 1, "", "", n * 1_500, (n + 1) * 1_500, 1.0) for n in range(12)]
    picture = live.pictures.draw(quotations, text, owner_id="local")
    assert picture is not None
    assert (picture.page, picture.marked) == (1, 0)


def test_the_memory_for_pages_is_bounded(live: Services) -> None:
    id, document = stored(live, pdf(PAGES))
    text = DocumentText(document.text, document.pages)
    small = PagePictures(live.documents, kept_bytes=1)
    assert small.draw([citation(id, document, "1688")], text, owner_id="local") is not None
    assert len(small._kept) == 0


def test_a_page_of_somebody_else_is_not_drawn(live: Services) -> None:
    id, document = stored(live, pdf(PAGES))
    text = DocumentText(document.text, document.pages)
    with pytest.raises(NotFound):
        live.pictures.draw([citation(id, document, "1688")], text, owner_id="another")


def test_a_text_and_a_missing_or_broken_file_have_no_picture(live: Services) -> None:
    id, document = stored(live, b"# Mill\n\nIt was built in 1688.\n", "mill.md")
    text = DocumentText(document.text, document.pages)
    assert live.pictures.draw([citation(id, document, "1688")], text, owner_id="local") is None
    id, document = stored(live, pdf(PAGES))
    text = DocumentText(document.text, document.pages)
    path = live.documents.files.path(live.documents.get(id, owner_id="local").sha256)
    path.write_bytes(b"%PDF-1.7\nnothing")
    assert live.pictures.draw([citation(id, document, "1688")], text, owner_id="local") is None
    path.unlink()
    assert live.pictures.draw([citation(id, document, "1720")], text, owner_id="local") is None


def test_a_hostile_page_is_not_drawn_and_harms_nobody(live: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.page_pictures.SECONDS", 5.0)
    for box in (b"[0 0 1e9 1e9]", b"[0 0 0 0]", b"[0 0 -5 1e38]", b"[nan 0 1 1]"):
        id, document = stored(live, pdf(PAGES).replace(b"[0 0 600 820]", box), f"{box!r}.pdf")
        text = DocumentText(document.text, document.pages)
        picture = live.pictures.draw([citation(id, document, "1688")], text, owner_id="local")
        assert picture is None or struct.unpack(">I", picture.png[16:20])[0] <= 1100


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not beside the repository")
def test_most_quotations_of_real_files_are_placed() -> None:
    """Every tenth sentence of real PDFs is looked for on its page."""
    import pypdfium2

    from ingest.loaders.places import characters

    placed = tried = 0
    for name in ("maint-guide.en.pdf", "install.es.pdf", "install.ja.pdf"):
        path = SHARED / "evaldata" / "docs" / "debian" / "pdf" / name
        document = loaders.load(path, name)
        pdf_file = pypdfium2.PdfDocument(path)
        for page in document.pages[5:60:5]:
            content = characters(pdf_file[page.number - 1].get_textpage())
            text = document.text[page.start : page.end]
            for start in range(100, len(text) - 120, 400):
                tried += 1
                placed += bool(find(content, [Wanted(text[start : start + 90], start / len(text))]))
    assert tried > 50
    assert placed / tried >= 0.97
