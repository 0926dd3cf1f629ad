from __future__ import annotations

import errno
import hashlib
import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadUpload, StorageError
from core.settings import ROOT
from core.storage.files import FileStore


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for name in ("a", "b"):
        with store.receive(io.BytesIO(b"hello"), name=name, limit=10) as received:
            assert list(store.stored()) in ([], [received.sha256])
            store.keep(received)
    assert received.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert [p.name for p in tmp_path.iterdir()] == [received.sha256]


def test_what_is_not_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    with FileStore(tmp_path).receive(io.BytesIO(b"hello"), name="a", limit=10) as received:
        assert received.size == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"x" * 2_097_153, "larger than 2 MB")])
def test_a_refused_upload_leaves_nothing_behind(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(BadUpload, match=message):
        with FileStore(tmp_path).receive(io.BytesIO(content), name="a.txt", limit=2 << 20):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 63, "A" * 64, "", "a" * 63 + "/"])
def test_only_a_hash_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        FileStore(tmp_path).path(name)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_folder_of_ours_that_may_not_be_written_to_is_not_put_down_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refusing(path: Path, *_: object) -> object:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(StorageError, match="cannot be written to. Check its owner and permissions"):
        with FileStore(tmp_path).receive(io.BytesIO(b"hello"), name="a", limit=10):
            pass


def test_a_file_that_may_not_be_read_is_not_put_down_to_our_folder(tmp_path: Path) -> None:
    class Unreadable(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        with FileStore(tmp_path).receive(Unreadable(b"hello"), name="a", limit=10):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import io, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from core.storage.files import FileStore\n"
        "from core.errors import StorageFull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    with FileStore(Path(sys.argv[1])).receive(io.BytesIO(b'x' * 100_000), name='a', limit=1 << 20):\n"
        "        pass\n"
        "except StorageFull as error:\n"
        "    print(error)\n"
    )
    assert resource.RLIMIT_FSIZE
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "is full" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_others_put_into_the_folder_is_not_ours(tmp_path: Path) -> None:
    for name in ("Thumbs.db", ".DS_Store", "a" * 63, "A" * 64):
        (tmp_path / name).write_bytes(b"x")
    store = FileStore(tmp_path)
    assert list(store.stored()) == store.orphans(set(), older_than=float("inf")) == []


def test_a_draft_that_is_taken_away_while_one_looks_is_no_error(tmp_path: Path) -> None:
    (tmp_path / ".a.tmp").symlink_to(tmp_path / "gone")  # listed, and not there when it is asked for its age
    (tmp_path / ".b.tmp").write_bytes(b"x")
    assert [draft.name for draft in FileStore(tmp_path).drafts(older_than=float("inf"))] == [".b.tmp"]
