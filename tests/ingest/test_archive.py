from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from core.errors import BadUpload, UnknownType
from core.types import Document
from ingest import loaders
from ingest.loaders import inside
from ingest.loaders.detect import TAKEN, ZIP, media_type
from tests.ingest.made import package, pdf, word_file


def load(path: Path) -> Document:
    assert media_type(path, "anything") == ZIP
    return loaders.load(path, "papers.zip")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"])
def test_pictures_in_an_archive_are_neither_read_nor_promised(form: str, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("L", (400, 200), 255).save(picture, form)
    with pytest.raises(UnknownType, match="is a picture or a scan inside another file. Upload it by itself"):
        load(package(tmp_path / "a", {"photo": picture.getvalue()}))
    in_archives, _, by_themselves = TAKEN.partition("ZIP archives of these")
    assert "pictures" not in in_archives
    assert "pictures of text outside of archives" in by_themselves


def test_every_file_is_a_section_below_its_path(tmp_path: Path) -> None:
    word = word_file(tmp_path / "w", lambda made: made.add_heading("Warranty", 1)).read_bytes()
    document = load(
        package(
            tmp_path / "a",
            {
                "notes/a.md": "# Motors\n\ntext",
                "letter.doc": word,
                "report.pdf": pdf(["one", "two"]),
                "last.txt": "end",
            },
        )
    )
    assert [(h.level, h.title) for h in document.headings] == [
        (1, "notes/a.md"), (2, "Motors"), (1, "letter.doc"), (2, "Warranty"), (1, "report.pdf"), (1, "last.txt"),
    ]  # fmt: skip
    for heading in document.headings:
        line = document.text[heading.start :].split("\n", 1)[0]
        assert line.lstrip("# ") == heading.title
    assert document.title == "papers"


def test_pages_of_files_inside_are_called_by_their_file(tmp_path: Path) -> None:
    document = load(package(tmp_path / "a", {"a.txt": "before", "report.pdf": pdf(["one", "two"]), "z.txt": "after"}))
    labels = [page.label for page in document.pages]
    assert [label for label in labels if label] == ["report.pdf, 1", "report.pdf, 2"]
    assert "two" in next(document.text[p.start : p.end] for p in document.pages if p.label == "report.pdf, 2")
    assert [page.number for page in document.pages] == list(range(1, len(labels) + 1))


def test_what_is_left_out_is_named_and_what_nobody_wrote_is_passed_over(tmp_path: Path) -> None:
    document = load(
        package(
            tmp_path / "a",
            {
                "a.txt": "text",
                "run.exe": b"MZ" + bytes(64),
                "__MACOSX/._a.txt": b"\0",
                "x/.DS_Store": b"\0",
                "e.txt": "",
            },
        )
    )
    assert document.warnings == (
        "Left out: run.exe is a program.",
        "Left out: e.txt is empty. Choose a file that has content.",
    )
    assert document.text == "a.txt\n\ntext"


def test_a_picture_inside_is_named_because_text_recognition_works_on_uploads_alone(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("L", (400, 200), 255).save(picture, "PNG")
    document = load(package(tmp_path / "a", {"a.txt": "text", "photo.png": picture.getvalue()}))
    assert document.text == "a.txt\n\ntext"
    assert document.warnings == (
        "Left out: photo.png is a picture or a scan inside another file. Upload it by itself to have it read.",
    )


def test_of_many_files_that_are_left_out_only_some_are_named(tmp_path: Path) -> None:
    programs = {f"{n}.exe": b"MZ" + bytes(64) for n in range(30)}
    document = load(package(tmp_path / "a", {"a.txt": "text"} | programs))
    assert len(document.warnings) == 21
    assert document.warnings[-1] == "Left out: 10 more files."


def archive_of(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr(name, content)
    return packed.getvalue()


def test_an_archive_inside_is_read_and_a_chain_of_them_ends(tmp_path: Path) -> None:
    once = load(package(tmp_path / "a", {"inner.zip": archive_of("a.txt", b"deep words")}))
    assert once.text == "inner.zip\n\na.txt\n\ndeep words"
    chain = b"words"
    for depth in range(20):
        chain = archive_of(f"{depth}.zip" if depth else "core.txt", chain)
    with pytest.raises(UnknownType, match="too deep inside other files"):
        load(package(tmp_path / "a", {"chain.zip": chain}))


def test_files_beyond_the_allowance_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = inside._Allowance
    monkeypatch.setattr(inside, "_Allowance", lambda: whole(files=2))
    document = load(package(tmp_path / "a", {f"{n}.txt": f"text {n}" for n in range(4)}))
    assert "text 1" in document.text
    assert "text 2" not in document.text
    assert len(document.warnings) == 2


def test_names_that_say_nothing_of_their_coding_are_read_as_utf8(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("größe.txt")
    with zipfile.ZipFile(tmp_path / "a", "w") as made:
        made.writestr(entry, "text")
    raw = (tmp_path / "a").read_bytes()
    local, central = raw.index(b"PK\3\4"), raw.index(b"PK\1\2")
    unmarked = bytearray(raw)
    unmarked[local + 7] &= ~0x08
    unmarked[central + 9] &= ~0x08
    (tmp_path / "a").write_bytes(unmarked)
    assert load(tmp_path / "a").text == "größe.txt\n\ntext"


@pytest.mark.parametrize("name", ["../a.txt", "/etc/a.txt", "C:\\a.txt", "x\\..\\..\\a.txt"])
def test_an_archive_that_reaches_out_of_its_folder_is_not_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadUpload, match="outside of its folder"):
        load(package(tmp_path / "a", {"ok.txt": "text", name: "text"}))


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a", "w") as made:
        made.writestr(link, "/etc/passwd")
    with pytest.raises(BadUpload, match="a link instead of a file"):
        load(tmp_path / "a")


def test_an_archive_of_nothing_readable_says_why(tmp_path: Path) -> None:
    with pytest.raises(UnknownType) as refusal:
        load(package(tmp_path / "a", {"setup.exe": b"MZ" + bytes(64)}))
    assert str(refusal.value) == "papers.zip is a ZIP archive in which nothing can be read: setup.exe is a program."


def test_the_parser_of_archives_changes_with_any_other() -> None:
    others = sum(loader.version for kind, loader in loaders.LOADERS.items() if kind != ZIP)
    assert loaders.parser_of(ZIP) == f"ArchiveLoader {others + 1}"
