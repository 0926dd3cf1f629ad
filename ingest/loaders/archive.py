"""ZIP archives: one document whose sections are the files inside, each read by the loader of its own type.

The path of a file is the heading of its section. Archives inside archives share one allowance of depth, files and
bytes with them (inside.py). What is left out is named in a warning.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.errors import BadUpload, UnknownType
from core.types import Document
from ingest.loaders import inside
from ingest.loaders.clean import one_line
from ingest.loaders.detect import TAKEN, ZIP
from ingest.loaders.draft import LONGEST_TITLE, Draft, listed
from ingest.loaders.package import check_package, opened

MOST_NAMED = 20  # files that a warning of its own tells about
_NOT_FOR_PEOPLE = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
_UTF8_NAME = 0x800


@dataclass(slots=True)
class _Told:
    """Why files were left out, and what is to be known about those that were read."""

    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    def warnings(self) -> list[str]:
        warnings = [f"Left out: {reason}" for reason in self.left_out[:MOST_NAMED]]
        if (more := len(self.left_out) - MOST_NAMED) > 0:
            warnings.append(f"Left out: {more:,} more {'file' if more == 1 else 'files'}.")
        if self.twice:
            warnings.append(f"Several files have the same name, and all were read: {listed(self.twice)}.")
        return warnings + self.notes[:MOST_NAMED]


@dataclass(frozen=True, slots=True)
class ArchiveLoader:
    """ZIP archives of files that can be read here."""

    library: str | None = None

    @property
    def version(self) -> int:
        """Rises with that of every other loader: each may read files of an archive."""
        from ingest.loaders import LOADERS

        return 1 + sum(loader.version for kind, loader in LOADERS.items() if kind != ZIP)

    def load(self, path: Path, name: str) -> Document:
        check_package(path, name, archive=True)
        draft, told = Draft(name), _Told()
        with opened(path, name) as package:
            entries = [entry for entry in package.infolist() if _is_for_people(entry)]
            names = Counter(_path(entry).casefold() for entry in entries)
            told.twice = [called for called, times in names.items() if times > 1]
            for entry in entries:
                _add(draft, package.read(entry), _path(entry), told)
        if not draft.headings:
            reason = told.left_out[0] if told.left_out else "it is empty."
            raise UnknownType(f"{name} is a ZIP archive in which nothing can be read: {reason}")
        return draft.document(ZIP, title=PurePosixPath(name).stem, warnings=told.warnings())


def _is_for_people(entry: zipfile.ZipInfo) -> bool:
    return not (
        entry.is_dir() or entry.filename.startswith(_NOT_FOR_PEOPLE) or entry.filename.endswith(_NOT_FOR_PEOPLE)
    )


def _path(entry: zipfile.ZipInfo) -> str:
    """The path of a file; many programs write UTF-8 without saying so, and zipfile takes it for cp437."""
    path = entry.filename
    if not entry.flag_bits & _UTF8_NAME and not path.isascii():
        with suppress(UnicodeError):
            path = path.encode("cp437").decode("utf-8")
    return one_line(path.replace("\\", "/"))[-LONGEST_TITLE:]


def _add(draft: Draft, data: bytes, path: str, told: _Told) -> None:
    try:
        document = inside.read(data, path)
    except BadUpload as refusal:
        told.left_out.append(str(refusal).removesuffix(TAKEN).strip())
        return
    told.notes += [f"{path}: {warning}" for warning in document.warnings]
    draft.include(document, path)
