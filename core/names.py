"""Names that people give to files, collections and tags, made harmless."""

from __future__ import annotations

import re
import unicodedata

from core.errors import BadUpload

LONGEST_NAME = 200
LONGEST_TAG = 60
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # kinds of characters that could act or hide
# Endings that Windows runs, and links. Not .com: documents from the web are called by their host.
PROGRAMS = {"exe", "scr", "pif", "cpl", "dll", "sys", "msi", "lnk"}
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_HIDDEN = re.compile(r"\.[^.]{5,}")  # .htaccess, but not .txt, which is a file without a stem


def clean_name(name: str) -> str:
    """The last part of a file name without anything that could act: paths, control and direction characters."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/")).rsplit("/", 1)[-1]
    shown = "".join(c for c in last if unicodedata.category(c) not in UNSEEN)
    shown = " ".join(shown.split()).strip(" .")
    if len(shown) > LONGEST_NAME:
        stem, dot, ending = shown.rpartition(".")
        shown = f"{stem[: LONGEST_NAME - 12]}…{dot}{ending[:10]}" if dot else shown[: LONGEST_NAME - 1] + "…"
    return shown or "unnamed"


def document_name(name: str) -> str:
    """The harmless form of the name that a document comes with.

    Raises BadUpload for one that no document has: none at all, that of a program, of a device, of hidden settings. What
    is inside counts for everything else; but who opens a stored file by such a name would not get a document.
    """
    shown = clean_name(name) if name.strip() else ""
    if ":" in shown and shown.rpartition(".")[2].lower() in PROGRAMS:
        shown = shown.partition(":")[0]  # behind the colon stands another stream of the same file, on Windows
    if not shown:
        raise BadUpload("The file has no name. Give it one and add it again.")
    _stem, dot, ending = shown.rpartition(".")
    if dot and ending.lower() in PROGRAMS:
        raise BadUpload(
            f"{shown} has the name of a program (.{ending}). If it is a document, rename it and add it again."
        )
    if not dot and ending.lower() in DEVICES:
        raise BadUpload(f"{shown} is the name of a device on Windows. Rename the file and add it again.")
    if _HIDDEN.fullmatch(name.strip().replace("\\", "/").rsplit("/", 1)[-1]):
        raise BadUpload(f"{shown} with a dot before it is a hidden file of settings. Rename it if it is a document.")
    return shown


def tag_name(name: str) -> str:
    """A tag as it is stored, on one line and without what cannot be seen; "" when nothing is left."""
    seen = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) not in UNSEEN)
    return " ".join(seen.split()).lstrip("# ")[:LONGEST_TAG].rstrip()


def collection_name(name: str) -> str:
    """The name of a collection as it is stored. Raises BadUpload when it is empty."""
    name = " ".join(name.split())[:LONGEST_NAME]
    if not name:
        raise BadUpload("A collection needs a name.")
    return name
