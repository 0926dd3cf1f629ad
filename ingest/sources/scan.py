"""The files of a folder, by name, size and time: thousands in a moment, nothing is opened."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from ingest.sources.line import Ended

MOST_FILES = 100_000
DEEPEST = 64
# Unfinished downloads, drafts that programs put beside a file, and what file managers leave behind.
SKIPPED_ENDINGS = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp", ".swo", ".lock", "~")
SKIPPED_STARTS = (".", "~$", "~lock")
SKIPPED_NAMES = frozenset(("thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "__macosx"))


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as the folder shows it; `mounted` when it lies on another disk than the folder itself."""

    size: int
    mtime_ns: int
    mounted: bool


@dataclass(slots=True)
class Scan:
    """What was found, by path below the folder with forward slashes.

    Nothing is known of the files and folders in `unreadable`, nor of what is in them.
    """

    identity: str
    device: int
    files: dict[str, Seen] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    too_many: bool = False

    def knows(self, path: str) -> bool:
        """Whether the scan would have found this file if it were there."""
        if self.too_many:
            return False
        steps = path.split("/")
        return not any("/".join(steps[:end]) in self.unreadable for end in range(1, len(steps) + 1))


def scan(root: Path, ended: Ended) -> Scan:
    """Look through the folder; links are not followed, wherever they lead. Raises OSError when it is not there."""
    about = os.stat(root)
    found = Scan(f"{about.st_dev}:{about.st_ino}", about.st_dev)
    waiting: list[tuple[str, int]] = [("", 0)]
    while waiting and not ended():
        folder, depth = waiting.pop()
        try:
            with os.scandir(root / folder if folder else root) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if not is_skipped(entry.name) and _take(found, entry, path) and depth < DEEPEST:
                        waiting.append((path, depth + 1))
        except OSError:
            if not folder:
                raise
            found.unreadable.add(folder)
        if len(found.files) >= MOST_FILES:
            found.too_many = True
            break
    return found


def is_skipped(name: str) -> bool:
    """Whether a name is that of a hidden or temporary file or folder."""
    lower = name.lower()
    draft = lower.startswith("#") and lower.endswith("#")  # of Emacs; people number files with one in front
    return draft or lower.startswith(SKIPPED_STARTS) or lower.endswith(SKIPPED_ENDINGS) or lower in SKIPPED_NAMES


def is_text(path: str) -> bool:
    """Whether a path is text: names may be any bytes, and those that are not UTF-8 can neither be stored nor shown."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _take(found: Scan, entry: os.DirEntry[str], path: str) -> bool:
    """Note a file; True for a folder to be looked through."""
    if not is_text(path):
        found.unreadable.add(path)
        return False
    try:
        about = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # gone in this moment
        return False
    except OSError:  # it may be there: its folder may not be entered, or its disk does not answer now
        found.unreadable.add(path)
        return False
    windows = getattr(about, "st_file_attributes", 0)  # where junctions, which are links too, look like folders
    if windows & (stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_SYSTEM | stat.FILE_ATTRIBUTE_REPARSE_POINT):
        return False
    if stat.S_ISREG(about.st_mode):
        found.files[path] = Seen(about.st_size, about.st_mtime_ns, about.st_dev != found.device)
    return stat.S_ISDIR(about.st_mode)
