"""Pages as pictures: grey pixels for text recognition, drawn in the child that reads files.

The picture is handed over as PGM: a line that says its size, then one byte for each pixel. What reads it needs no
decoder that a hostile file could reach.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from core.errors import BadUpload
from core.types import Document
from ingest.loaders import detect
from ingest.loaders.draft import Draft

if TYPE_CHECKING:
    from PIL.Image import Image

DPI = 300
MOST_PIXELS = 40_000_000  # A3 at 300 dpi has 17 million
MOST_FRAMES = 2_000
# A photograph of a page at less than 150 dpi is read better when it is drawn larger.
SMALL_WIDTH, LARGER = 1_700, 2
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")


@dataclass(frozen=True, slots=True)
class PictureLoader:
    """Pictures (each frame a page) without text of their own: all of it is left to text recognition."""

    media_type: str
    version: int = 1
    library: str | None = "pillow"

    def load(self, path: Path, name: str) -> Document:
        draft = Draft(name)
        with _opened(path, name) as image:
            frames = getattr(image, "n_frames", 1) if self.media_type == detect.TIFF else 1
            if frames > MOST_FRAMES:
                raise BadUpload(f"{name} has more than {MOST_FRAMES:,} pages. Split it into smaller files.")
            _check_size(image, name)
        for number in range(1, frames + 1):
            draft.add_page("", number=number)
        return draft.document(self.media_type, pictures=range(1, frames + 1))


def write_picture(stream: IO[bytes], path: Path, name: str, number: int) -> None:
    """Write page `number` of a PDF or picture as PGM. Raises BadUpload when it cannot be drawn."""
    kind = detect.media_type(path, name)
    width, height, pixels = _pdf_page(path, name, number) if kind == detect.PDF else _frame(path, name, number)
    stream.write(b"P5\n%d %d\n255\n" % (width, height))
    stream.write(pixels)
    stream.flush()


def _pdf_page(path: Path, name: str, number: int) -> tuple[int, int, bytes]:
    import pypdfium2

    try:
        with closing(pypdfium2.PdfDocument(path)) as pdf, closing(pdf.get_page(number - 1)) as page:
            width, height = page.get_size()
            scale = min(DPI / 72, (MOST_PIXELS / max(width * height, 1.0)) ** 0.5)
            bitmap = page.render(scale=scale, grayscale=True)
            rows = memoryview(bitmap.buffer).cast("B")
            pixels = b"".join(
                rows[line * bitmap.stride : line * bitmap.stride + bitmap.width] for line in range(bitmap.height)
            )
            return bitmap.width, bitmap.height, pixels
    except pypdfium2.PdfiumError as error:
        raise BadUpload(f"Page {number} of {name} cannot be drawn. Print the file to a new PDF.") from error


def frame_of(path: Path, name: str, number: int, width: int, most_pixels: int) -> Image:
    """A frame of a picture for people: in colour, upright, no wider than asked. Raises BadUpload."""
    from PIL import Image

    seen = _upright(path, name, number).convert("RGB")
    scale = min(1.0, width / seen.width, (most_pixels / (seen.width * seen.height)) ** 0.5)
    size = (max(1, int(seen.width * scale)), max(1, int(seen.height * scale)))
    return seen.resize(size, Image.Resampling.LANCZOS) if scale < 1 else seen


def _frame(path: Path, name: str, number: int) -> tuple[int, int, bytes]:
    from PIL import Image

    grey = _upright(path, name, number).convert("L")
    if grey.width < SMALL_WIDTH and grey.width * grey.height * LARGER**2 <= MOST_PIXELS:
        grey = grey.resize((grey.width * LARGER, grey.height * LARGER), Image.Resampling.LANCZOS)
    return grey.width, grey.height, grey.tobytes()


def _upright(path: Path, name: str, number: int) -> Image:
    """A frame of a picture as it is meant to be seen, on paper where it is transparent. Raises BadUpload."""
    from PIL import Image, ImageOps

    with _opened(path, name) as image:
        try:
            image.seek(number - 1)
            _check_size(image, name)
            upright = ImageOps.exif_transpose(image)
            if upright.mode in ("RGBA", "LA", "PA", "P"):
                seen = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
            upright.load()
            return upright
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise BadUpload(f"{name} is damaged: its picture cannot be decoded. Save it anew.") from error


def _opened(path: Path, name: str) -> Image:
    """The picture, whose pixels are not decoded yet. Raises BadUpload."""
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are checked here
            return Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise BadUpload(_too_large(name)) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise BadUpload(f"{name} is damaged: it cannot be opened as a picture. Save it anew.") from error


def _check_size(image: Image, name: str) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise BadUpload(_too_large(name))


def _too_large(name: str) -> str:
    return f"{name} has more than {MOST_PIXELS // 1_000_000} million pixels. Scan or save it at a lower resolution."
