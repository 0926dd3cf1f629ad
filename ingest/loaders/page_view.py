"""A page as a picture for people, with words marked, drawn in the child that reads files.

The picture is handed over as bare pixels: a line of JSON that says its size and how much is marked, then three bytes
for each pixel. Who takes it needs no decoder that a hostile file could reach.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from core.errors import BadUpload
from ingest.loaders import detect
from ingest.loaders.pictures import frame_of
from ingest.loaders.places import Box, Wanted, boxes, characters, find

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH = 1_100  # pixels; twice what a dialog shows, for sharp displays and for zooming in
MOST_PIXELS = 3_000_000
MOST_WANTED = 20
MARK = (255, 213, 74)  # multiplied with the page, so that letters stay black
FRAME = 3


def write_view(stream: IO[bytes], path: Path, name: str, wish: Mapping[str, Any]) -> None:
    """Write page `wish["page"]` with `wish["words"]` marked. Raises BadUpload when it cannot be drawn."""
    number, wanted = int(wish["page"]), [Wanted(str(words), float(share)) for words, share in wish["words"]]
    kind = detect.media_type(path, name)
    if kind == detect.PDF:
        image, marked = _pdf_page(path, name, number, wanted[:MOST_WANTED])
    else:
        image, marked = frame_of(path, name, number, WIDTH, MOST_PIXELS), 0
    head = {"width": image.width, "height": image.height, "marked": marked}
    stream.write(json.dumps(head).encode() + b"\n")
    stream.write(image.tobytes())
    stream.flush()


def _pdf_page(path: Path, name: str, number: int, wanted: Sequence[Wanted]) -> tuple[Image, int]:
    """The page, and how many stretches of it are marked."""
    import pypdfium2

    try:
        with closing(pypdfium2.PdfDocument(path)) as pdf, closing(pdf.get_page(number - 1)) as page:
            width, height = page.get_size()
            scale = min(WIDTH / max(width, 1.0), (MOST_PIXELS / max(width * height, 1.0)) ** 0.5)
            image = page.render(scale=scale).to_pil().convert("RGB")
            with closing(page.get_textpage()) as content:
                indexes = find(characters(content), wanted)
                found = boxes(page, content, indexes, image.width, image.height)
            return _marked(image, found), len(found)
    except (pypdfium2.PdfiumError, IndexError, ValueError) as error:
        raise BadUpload(f"Page {number} of {name} cannot be drawn.") from error


def _marked(image: Image, found: Sequence[Box]) -> Image:
    from PIL import Image as Pictures
    from PIL import ImageChops, ImageDraw

    ground = Pictures.new("RGB", image.size, "white")
    draw = ImageDraw.Draw(ground)
    for left, top, right, bottom in found:
        draw.rectangle((left - FRAME, top - FRAME, right + FRAME, bottom + FRAME), fill=MARK)
    return ImageChops.multiply(image, ground)
