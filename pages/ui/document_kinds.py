"""Types and languages of documents in the words of people, and what can be taken in."""

from __future__ import annotations

from core.errors import SettingsError
from ingest.loaders.detect import TAKEN
from ingest.ocr.engine import HOW_TO_INSTALL, find_engine
from pages.ui import state

_OFFICE, _OPEN = "application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument."
KINDS = {
    "application/pdf": "PDF",
    f"{_OFFICE}wordprocessingml.document": "Word",
    f"{_OFFICE}presentationml.presentation": "PowerPoint",
    f"{_OFFICE}spreadsheetml.sheet": "Excel",
    f"{_OPEN}text": "OpenDocument text",
    f"{_OPEN}spreadsheet": "OpenDocument sheet",
    f"{_OPEN}presentation": "OpenDocument slides",
    "application/rtf": "RTF",
    "application/epub+zip": "EPUB",
    "application/zip": "ZIP archive",
    "application/json": "JSON",
    "application/xml": "XML",
    "application/x-ipynb+json": "Notebook",
    "application/x-subrip": "Subtitles (SRT)",
    "application/vnd.ms-outlook": "Outlook message",
    "message/rfc822": "E-mail",
    "multipart/related": "Web archive",
    "text/html": "HTML",
    "text/markdown": "Markdown",
    "text/x-rst": "reStructuredText",
    "text/plain": "Plain text",
    "text/csv": "CSV",
    "text/tab-separated-values": "TSV",
    "text/vtt": "Subtitles (VTT)",
}
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese",
    "zh": "Chinese",
}  # fmt: skip


def kind(media_type: str) -> str:
    """`PDF`, `Word`; for a type that has no word of its own what its name says."""
    if media_type.startswith("image/"):
        return f"Picture ({media_type.removeprefix('image/').upper()})"
    known = KINDS.get(media_type)
    return known or media_type.rpartition("/")[2].removeprefix("x-").removeprefix("vnd.")


def language(code: str) -> str:
    return LANGUAGES.get(code, code)


def can_be_taken_in() -> str:
    """What the reader knows, and what it needs to read scans, in sentences."""
    settings = state.services().settings
    limit = f"A file may have up to {settings.upload_mb} MB; what it is, its content says and not its name."
    return f"{TAKEN} {_scans(settings.ocr_languages)} {limit}"


def _scans(languages: str) -> str:
    try:
        engine = find_engine(languages)
    except SettingsError as problem:
        return f"Scans and pictures cannot be read now: {problem}"
    if engine is None:
        return f"To read scans and pictures too: {HOW_TO_INSTALL[0].lower()}{HOW_TO_INSTALL[1:]}."
    return (
        f"Text in scans and pictures (PNG, JPEG, TIFF and others) is recognised with {engine.name}; "
        "GROUNDWORK_OCR_LANGUAGES chooses other languages."
    )
