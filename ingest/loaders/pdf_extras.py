"""What a PDF says beside its pages' text: what is filled into its forms, its comments, the names of its attachments.

PDFium is asked without a form environment that runs scripts: the build in use has no JavaScript.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ingest.loaders.clean import clean, one_line

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MOST_ANNOTATIONS = 2_000  # on one page
MOST_OPTIONS = 200
MOST_ATTACHMENTS = 100
LONGEST_VALUE = 20_000
# FPDF_ANNOT_*: what can carry a comment; links and pop-ups say nothing of their own.
_COMMENTS = (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_WIDGET = 20
# FPDF_FORMFIELD_*
_CHECKBOX, _RADIO, _COMBOBOX, _LISTBOX, _TEXT = 2, 3, 4, 5, 6


def comments_and_values(pdf: PdfDocument, page: PdfPage) -> str:
    """One line for each filled field and each comment of a page, in the order in which the page holds them."""
    from pypdfium2 import raw

    lines: dict[str, None] = {}  # a group of buttons says the same several times
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), MOST_ANNOTATIONS)):
        with _annotation(page, index) as annotation:
            if annotation is None:
                continue
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == _WIDGET and pdf.formenv:
                lines.update(dict.fromkeys(_field(pdf.formenv.raw, annotation)))
            elif kind in _COMMENTS:
                comment = clean(_named(annotation, b"Contents")).strip()
                if comment:
                    lines[comment if kind == 3 else f"Comment: {comment}"] = None
    return "\n".join(lines)


@contextmanager
def _annotation(page: PdfPage, index: int) -> Iterator[Any]:
    from pypdfium2 import raw

    annotation = raw.FPDFPage_GetAnnot(page, index)
    try:
        yield annotation or None
    finally:
        if annotation:
            raw.FPDFPage_CloseAnnot(annotation)


def _field(forms: Any, annotation: Any) -> Iterator[str]:
    """What a field shows, behind its name; nothing for a field that is empty, not ticked or a mere button."""
    from pypdfium2 import raw

    kind = raw.FPDFAnnot_GetFormFieldType(forms, annotation)
    if kind in (_CHECKBOX, _RADIO):
        if not raw.FPDFAnnot_IsChecked(forms, annotation):
            return
        value = _string(lambda *space: raw.FPDFAnnot_GetFormFieldExportValue(forms, annotation, *space))
    elif kind == _LISTBOX:
        value = ", ".join(_options(forms, annotation))
    elif kind in (_COMBOBOX, _TEXT):
        value = _string(lambda *space: raw.FPDFAnnot_GetFormFieldValue(forms, annotation, *space))
    else:
        return
    name = _string(lambda *space: raw.FPDFAnnot_GetFormFieldAlternateName(forms, annotation, *space))
    name = name or _string(lambda *space: raw.FPDFAnnot_GetFormFieldName(forms, annotation, *space))
    if value.strip():
        yield f"{one_line(name)}: {clean(value).strip()}" if name.strip() else clean(value).strip()


def _options(forms: Any, annotation: Any) -> Iterator[str]:
    """The lines of a list, the chosen ones marked: all of them are seen on the page."""
    from pypdfium2 import raw

    for index in range(min(raw.FPDFAnnot_GetOptionCount(forms, annotation), MOST_OPTIONS)):
        label = one_line(_string(lambda *space, i=index: raw.FPDFAnnot_GetOptionLabel(forms, annotation, i, *space)))
        if label:
            yield f"{label} (chosen)" if raw.FPDFAnnot_IsOptionSelected(forms, annotation, index) else label


def _named(annotation: Any, key: bytes) -> str:
    from pypdfium2 import raw

    return _string(lambda *space: raw.FPDFAnnot_GetStringValue(annotation, key, *space))


def _string(ask: Callable[..., int]) -> str:
    """A string of PDFium's: asked for its length first, then for its UTF-16."""
    from pypdfium2 import raw

    size = min(ask(None, 0), 2 * LONGEST_VALUE)
    if size <= 2:
        return ""
    space = ctypes.create_string_buffer(size)
    ask(ctypes.cast(space, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return space.raw[:size].decode("utf-16-le", errors="ignore").rstrip("\0")


def attachment_names(pdf: PdfDocument) -> list[str]:
    """The names of files inside the PDF; they are never opened or written."""
    from pypdfium2 import PdfiumError

    names = []
    for index in range(min(pdf.count_attachments(), MOST_ATTACHMENTS)):
        try:
            names.append(one_line(pdf.get_attachment(index).get_name())[:200])
        except (PdfiumError, UnicodeDecodeError):
            continue
    return [name for name in names if name]
