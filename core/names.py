"""Names that people give to files and collections, made harmless."""

from __future__ import annotations

import unicodedata

from core.errors import BadUpload

LONGEST_NAME = 200


def clean_name(name: str) -> str:
    """The last part of a file name without anything that could act: paths, control and direction characters."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/")).rsplit("/", 1)[-1]
    shown = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    shown = " ".join(shown.split()).strip(" .")
    if len(shown) > LONGEST_NAME:
        stem, dot, ending = shown.rpartition(".")
        shown = f"{stem[: LONGEST_NAME - 12]}…{dot}{ending[:10]}" if dot else shown[: LONGEST_NAME - 1] + "…"
    return shown or "unnamed"


def collection_name(name: str) -> str:
    """The name of a collection as it is stored. Raises BadUpload when it is empty."""
    name = " ".join(name.split())[:LONGEST_NAME]
    if not name:
        raise BadUpload("A collection needs a name.")
    return name
