"""PPTX through python-pptx: each slide is a page, its title a heading; tables, charts and speaker's notes are read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadUpload
from core.types import Document, Heading
from ingest.loaders.detect import PPTX
from ingest.loaders.draft import Block, Draft, choose_title, listed
from ingest.loaders.package import check_package, damaged, parse_xml, properties

if TYPE_CHECKING:
    from pptx.presentation import Presentation
    from pptx.slide import Slide

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TITLES = ("title", "ctrTitle")
_SAME_ON_ALL = ("dt", "ftr", "hdr", "sldNum", "sldImg")  # placeholders that repeat on every slide
_SHAPES = (_P + "sp", _P + "graphicFrame")
MOST_SLIDES = 5_000
MOST_POINTS = 2_000  # of a chart
LONGEST_REPEATED = 200


@dataclass(slots=True)
class _Told:
    """Numbers of slides that a person should know about."""

    hidden: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    circular: list[int] = field(default_factory=list)

    def warnings(self) -> list[str]:
        sentences = (
            (self.hidden, "hidden when the presentation is shown; the text was taken in."),
            (self.broken, "missing from the file or cannot be read."),
            (self.circular, "built on a layout that is none; only the text on the slide itself was read."),
        )
        return [
            f"Slide {numbers[0]} is {rest}" if len(numbers) == 1 else f"Slides {listed(numbers)} are {rest}"
            for numbers, rest in sentences
            if numbers
        ]


@dataclass(frozen=True, slots=True)
class SlidesLoader:
    """PowerPoint presentations, shows and templates in the format of 2007 and later."""

    version: int = 1
    library: str | None = "python-pptx"

    def load(self, path: Path, name: str) -> Document:
        from lxml.etree import LxmlError

        check_package(path, name)
        draft = Draft(name)
        try:
            told = _add_slides(_open(path, name), draft)
        except (LxmlError, KeyError, ValueError, AttributeError, TypeError) as error:
            raise damaged(name, "PowerPoint") from error
        if told.broken and len(told.broken) == len(draft.pages):
            raise damaged(name, "PowerPoint")
        about = properties(path, name)
        first = [heading for heading in draft.headings if heading.start < draft.pages[0].end][:1] if draft.pages else []
        title = choose_title(about.pop("title", ""), [Heading(1, heading.title, 0) for heading in first], name)
        return draft.document(PPTX, title=title, metadata=about, warnings=told.warnings())


def _open(path: Path, name: str) -> Presentation:
    from pptx.exc import PythonPptxError
    from pptx.package import Package
    from pptx.parts.presentation import PresentationPart

    try:
        part = Package.open(str(path)).presentation_part  # `Presentation()` would refuse shows and templates
    except (PythonPptxError, zipfile.BadZipFile) as error:
        raise damaged(name, "PowerPoint") from error
    if not isinstance(part, PresentationPart):
        raise damaged(name, "PowerPoint")
    presentation: Presentation = part.presentation
    return presentation


def _add_slides(presentation: Presentation, draft: Draft) -> _Told:
    """Add every slide as a page. Raises BadUpload when there are too many."""
    from pptx.parts.slide import SlidePart

    entries, told = presentation.slides._sldIdLst, _Told()
    if len(entries) > MOST_SLIDES:
        raise BadUpload(f"{draft.name} has more than {MOST_SLIDES:,} slides. Split it into smaller files.")
    for number, entry in enumerate(entries, 1):
        blocks: list[Block] = []
        try:
            part = presentation.part.related_part(entry.rId)
        except KeyError:
            part = None
        if isinstance(part, SlidePart):
            blocks = [*_slide(part.slide), *_notes(part.slide)]
            if part.slide.element.get("show") in ("0", "false"):
                told.hidden.append(number)
            if _built_on_none(part):
                told.circular.append(number)
        else:
            told.broken.append(number)
        draft.add_page_of(blocks, number=number)
    return told


def _built_on_none(part: Any) -> bool:
    """Whether a slide names something else as its layout, such as itself."""
    from pptx.parts.slide import SlideLayoutPart

    layouts = [relation for relation in part.rels.values() if relation.reltype.endswith("/slideLayout")]
    return any(relation.is_external or not isinstance(relation.target_part, SlideLayoutPart) for relation in layouts)


def _slide(slide: Slide) -> Iterator[Block]:
    """The title first, wherever it stands in the file; then the shapes in their order."""
    shapes = [shape for shape in slide.element.iter(*_SHAPES) if not _left_out(shape)]
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    for shape in titles:
        if title := " ".join(_text(paragraph) for paragraph in shape.iter(_A + "p")).strip():
            yield Block(title, level=1)
    for shape in shapes:
        if shape not in titles:
            yield from _shape(slide, shape)


def _left_out(shape: Any) -> bool:
    """Whether people do not see a shape, or see it on every slide."""
    about = shape.find("*/" + _P + "cNvPr")
    unseen = about is not None and about.get("hidden") in ("1", "true")
    return unseen or _placeholder(shape) in _SAME_ON_ALL or any(True for _ in shape.iterancestors(_FALLBACK))


def _placeholder(shape: Any) -> str | None:
    """What a shape is for, None where it is none of the layout's places."""
    place = shape.find(f"*/{_P}nvPr/{_P}ph")
    return None if place is None else place.get("type", "obj")


def _shape(slide: Slide, shape: Any) -> Iterator[Block]:
    if shape.tag == _P + "sp":
        body = shape.find(_P + "txBody")
        yield from _paragraphs(body, listed=_placeholder(shape) in ("obj", "body")) if body is not None else ()
        return
    for table in shape.iter(_A + "tbl"):
        yield _table(table)
    for reference in shape.iter(_C + "chart", _DIAGRAM + "relIds"):
        part = _related(slide, reference.get(_RELATION + ("id" if reference.tag == _C + "chart" else "dm")))
        if part is None:
            continue
        if reference.tag == _C + "chart":
            yield from _chart(part)
        else:
            yield from _paragraphs(part, listed=True)


def _related(slide: Slide, relation: str | None) -> Any:
    """The root of a part that a shape refers to; None where it cannot be had."""
    from lxml.etree import XMLSyntaxError

    try:
        return parse_xml(slide.part.related_part(relation or "").blob)
    except (KeyError, XMLSyntaxError):
        return None


def _paragraphs(body: Any, *, listed: bool) -> Iterator[Block]:
    """Paragraphs of a text; in a list each stands as deep as on the slide."""
    paragraphs = [(paragraph, text) for paragraph in body.iter(_A + "p") if (text := _text(paragraph))]
    for paragraph, text in paragraphs:
        properties = paragraph.find(_A + "pPr")
        depth = (properties.get("lvl") or "0") if properties is not None else "0"
        plain = (
            not listed or len(paragraphs) < 2 or (properties is not None and properties.find(_A + "buNone") is not None)
        )
        indent = "  " * (int(depth) if depth.isdecimal() and len(depth) == 1 else 0)
        yield Block(text if plain else f"{indent}- {text}", tight=not plain or paragraph is not paragraphs[0][0])


def _text(paragraph: Any) -> str:
    parts = []
    for element in paragraph.iter(_A + "t", _A + "br", "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"):
        parts.append("\n" if element.tag == _A + "br" else element.text or "")
    return "".join(parts).strip()


def _table(table: Any) -> Block:
    """The rows of a table; a cell over several rows stands in each of them."""
    rows: list[list[str]] = []
    for row in table.iterchildren(_A + "tr"):
        cells: list[str] = []
        for cell in row.iterchildren(_A + "tc"):
            text = " ".join(" ".join(_text(paragraph).split()) for paragraph in cell.iter(_A + "p")).strip()
            if cell.get("vMerge") in ("1", "true"):
                above = rows[-1][len(cells)] if rows and len(cells) < len(rows[-1]) else ""
                text = above if len(above) <= LONGEST_REPEATED else ""
            elif cell.get("hMerge") in ("1", "true"):
                text = cells[-1] if cells and not rows and len(cells[-1]) <= LONGEST_REPEATED else ""
            cells.append(text)
        rows.append(cells)
    return Block(rows=rows)


def _chart(chart: Any) -> Iterator[Block]:
    """The title of a chart, and its numbers as a table: a row for each category, a column for each series."""
    title = chart.find(f"{_C}chart/{_C}title")
    if title is not None:
        yield from _paragraphs(title, listed=False)
    columns: list[tuple[str, dict[str, str]]] = []
    categories: dict[str, str] = {}
    for series in chart.iter(_C + "ser"):
        name = " ".join(point for place in series.iterchildren(_C + "tx") for point in _points(place).values())
        for place in series.iterchildren(_C + "cat", _C + "xVal"):
            categories = _points(place) | categories
        for place in series.iterchildren(_C + "val", _C + "yVal"):
            columns.append((name, _points(place)))
    places = list(dict.fromkeys(place for one in (categories, *(points for _, points in columns)) for place in one))
    if columns:
        header = ["", *(name for name, _ in columns)]
        yield Block(rows=[header, *([categories.get(at, ""), *(p.get(at, "") for _, p in columns)] for at in places)])


def _points(place: Any) -> dict[str, str]:
    """The stored values of a series by their place."""
    found: dict[str, str] = {}
    for point in place.iter(_C + "pt"):
        if len(found) >= MOST_POINTS:
            break
        found[point.get("idx") or ""] = point.findtext(_C + "v") or ""
    return found


def _notes(slide: Slide) -> Iterator[Block]:
    """What the speaker wrote below the slide."""
    if not slide.has_notes_slide:
        return
    texts = []
    for shape in slide.notes_slide.element.iter(_P + "sp"):
        if _placeholder(shape) == "body":
            texts += [text for paragraph in shape.iter(_A + "p") if (text := _text(paragraph))]
    if texts:
        yield Block("Notes: " + "\n".join(texts))
