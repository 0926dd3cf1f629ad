from __future__ import annotations

import string
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Cancelled
from core.types import Chunk, Document, Heading, Page, Table
from ingest.split import HEADING_TOKENS, LETTERS_PER_TOKEN, split
from tests.ingest.made import words

BUDGET = 40


def document(text: str, **structure: object) -> Document:
    return Document("Title", "text/plain", text, **structure)  # type: ignore[arg-type]


def chunks_of(source: Document, *, budget: int = BUDGET, overlap: int = 0) -> list[Chunk]:
    chunks = split(source, count_tokens=words, budget=budget, overlap=overlap)
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.text == source.text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        assert words(chunk.text) <= budget
        assert len(chunk.text) <= budget * LETTERS_PER_TOKEN
        assert words(chunk.heading) <= HEADING_TOKENS
    return chunks


def lost(source: Document, chunks: list[Chunk]) -> str:
    covered = bytearray(len(source.text))
    for chunk in chunks:
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
    return "".join(c for c, seen in zip(source.text, covered, strict=True) if not seen and not c.isspace())


PIECES = st.one_of(
    st.text(alphabet=string.ascii_letters + " .,;\n", max_size=60),
    st.text(max_size=20),
    st.sampled_from(
        ["\n\n", "\n", " ", "。", "日本語の文章", "A sentence. ", "x" * 700, "\t \n" * 30, "| a | b |\n", "👩‍👧", "1. "]
    ),
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = "".join(draw(st.lists(PIECES, max_size=40)))
    places = st.integers(0, len(text))
    edges = sorted({0, *draw(st.lists(places, max_size=4)), len(text)})
    pages = tuple(Page(number, start, end) for number, (start, end) in enumerate(pairwise(edges), 1))
    titles = draw(st.lists(st.tuples(st.integers(1, 4), st.text(max_size=80), places), max_size=8))
    tables = [sorted(pair) for pair in draw(st.lists(st.tuples(places, places), max_size=3))]
    return document(
        text,
        pages=pages,
        headings=tuple(Heading(*heading) for heading in titles),
        tables=tuple(Table(start, end) for start, end in tables),
    )


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(documents(), st.sampled_from([(40, 0), (40, 10), (12, 3), (200, 20)]))
def test_no_character_is_lost_and_no_chunk_is_too_large(source: Document, size: tuple[int, int]) -> None:
    chunks = chunks_of(source, budget=size[0], overlap=size[1])
    assert lost(source, chunks) == ""
    assert all(before.start < after.start and before.end <= after.end for before, after in pairwise(chunks))
    if size[1] == 0:
        assert all(before.end <= after.start for before, after in pairwise(chunks))


def sentences(count: int, name: str = "word") -> str:
    return " ".join(f"The {name} number {n} has exactly these nine words." for n in range(count))


def test_chunks_end_with_sentences_and_are_about_equal() -> None:
    chunks = chunks_of(document(sentences(13)))
    assert all(chunk.text.endswith(".") for chunk in chunks)
    sizes = [words(chunk.text) for chunk in chunks]
    assert max(sizes) - min(sizes) <= 10


def test_a_chunk_does_not_cross_a_heading_between_large_sections() -> None:
    text = f"One\n\n{sentences(3, 'first')}\n\nTwo\n\n{sentences(3, 'second')}"
    headings = (Heading(1, "One", 0), Heading(1, "Two", text.index("Two")))
    chunks = chunks_of(document(text, headings=headings))
    assert [chunk.heading for chunk in chunks] == ["One", "Two"]
    assert not any("first" in chunk.text and "second" in chunk.text for chunk in chunks)


def test_a_heading_alone_goes_with_the_text_below_it() -> None:
    text = f"Chapter\n\nSection\n\n{sentences(3)}"
    headings = (Heading(1, "Chapter", 0), Heading(2, "Section", text.index("Section")))
    (chunk,) = chunks_of(document(text, headings=headings))
    assert chunk.heading == "Chapter › Section"
    assert chunk.text.startswith("Chapter\n\nSection\n\nThe word")


def test_many_tiny_sections_share_chunks_under_what_they_have_in_common() -> None:
    lines = [f"Item {n}" for n in range(300)]
    text = "List\n" + "\n".join(lines)
    starts = [5 + sum(len(line) + 1 for line in lines[:n]) for n in range(300)]
    headings = (Heading(1, "List", 0), *(Heading(2, f"Item {n}", start) for n, start in enumerate(starts)))
    chunks = chunks_of(document(text, headings=headings))
    assert len(chunks) < 60
    assert {chunk.heading for chunk in chunks[:-1]} == {"List"}


def test_a_long_heading_path_keeps_its_innermost_part() -> None:
    long = "A very long heading that goes on and on " * 2
    headings = (Heading(1, long, 0), Heading(2, long, 1), Heading(3, "Inner", 2))
    (chunk,) = chunks_of(document("abc of the matter", headings=headings))
    assert chunk.heading.endswith("Inner")
    (chunk,) = chunks_of(document("abc", headings=(Heading(1, "word " * 200, 0),)))
    assert chunk.heading.endswith("…")


def test_a_chunk_knows_the_page_that_holds_most_of_it() -> None:
    first, second = "Cover", sentences(3)
    text = f"{first}\n\n{second}\n\n{sentences(3, 'last')}"
    edges = [0, len(first) + 2, len(first) + len(second) + 4, len(text)]
    pages = tuple(Page(n, start, end) for n, (start, end) in enumerate(pairwise(edges), 1))
    assert [chunk.page for chunk in chunks_of(document(text, pages=pages))] == [2, 3]


def test_a_table_is_cut_between_its_rows() -> None:
    rows = "\n".join(f"| part {n} | {n} months | red |" for n in range(30))
    text = f"Before.\n\n{rows}\n\nAfter."
    chunks = chunks_of(document(text, tables=(Table(9, 9 + len(rows)),)))
    assert all(line.count("|") in (0, 4) for chunk in chunks for line in chunk.text.split("\n"))


def test_overlap_repeats_whole_words_of_the_chunk_before() -> None:
    source = document(sentences(13))
    for before, after in pairwise(chunks_of(source, overlap=6)):
        repeated = source.text[after.start : before.end]
        assert 0 < words(repeated) <= 6
        assert source.text[after.start - 1] == " "


def test_a_million_letters_without_a_blank_are_cut() -> None:
    source = document("x" * (1 << 20))
    chunks = chunks_of(source)
    assert lost(source, chunks) == ""
    assert len(chunks) <= (1 << 20) // 256


def test_hundreds_of_thousands_of_empty_lines_make_no_chunks() -> None:
    source = document("one" + "\n" * 200_000 + "two" + " " * 200_000 + "three")
    assert len(chunks_of(source)) <= 3


def test_counting_can_stop_the_work() -> None:
    def stop(_text: str) -> int:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        split(document("some text"), count_tokens=stop)


def test_an_empty_text_has_no_chunks() -> None:
    assert split(document("  \n "), count_tokens=words) == []
