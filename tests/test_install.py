"""The set-up of the environment, with a package index and packages that the test makes itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from core import install
from tests.models.tiny import Index


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two small requirements, in a folder with blanks, and no reachable index of PyTorch."""
    root = tmp_path / "a check out"
    root.mkdir()
    (root / "requirements.txt").write_text("# pinned\ntorch==2.13.0\nsmall==1.0\n")
    (root / "requirements-dev.txt").write_text("-r requirements.txt\nsmall-dev==1.0\n")
    index = Index(tmp_path / "index")
    index.folder.mkdir()
    index.add("small", "1.0", {"small.py": b"", "small_notes.txt": b""})
    index.add("small-dev", "1.0", {"small_dev.py": b""})
    monkeypatch.setattr(install, "ROOT", root)
    monkeypatch.setattr(install, "TORCH_CPU_INDEX", "http://127.0.0.1:9/")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", index.folder.as_uri())
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("VENV", raising=False)
    return root


def installed(checkout: Path) -> set[str]:
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "pip", "list", "--format", "freeze"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line for line in shown.splitlines() if line.startswith(("torch", "small"))}


@pytest.mark.skipif(install.has_gpu(), reason="on a machine with a GPU another build of torch is chosen")
def test_from_nothing_to_ready_and_the_second_time_at_once(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Index(checkout.parent / "index").add("torch", "2.13.0+cpu", {"torch.py": b""})
    assert install.main([]) == 0
    said = capsys.readouterr().out
    assert f"Making a virtual environment in {checkout / '.venv'}" in said
    assert "Installing torch==2.13.0, the build without CUDA, from the package index of this machine" in said
    assert installed(checkout) == {"torch==2.13.0+cpu", "small==1.0"}

    assert install.main([]) == 0
    assert capsys.readouterr().out == ""

    assert install.main(["--dev"]) == 0
    assert "Making a virtual environment" not in capsys.readouterr().out
    assert "small-dev==1.0" in installed(checkout)
    assert install.main([]) == 0
    assert capsys.readouterr().out == ""

    (checkout / "requirements.txt").write_text("torch==2.13.0\nsmall==9.9\n")
    assert install.main([]) == 1
    assert "No matching distribution found for small==9.9" in capsys.readouterr().err
    assert not (checkout / ".venv" / install.STAMP).exists()


@pytest.mark.skipif(install.has_gpu(), reason="on a machine with a GPU another build of torch is chosen")
def test_a_build_that_brings_cuda_is_announced_with_its_size(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = Index(checkout.parent / "index")
    index.add("torch", "2.13.0", {"torch.py": b""}, requires="nvidia-cublas==13.1")
    index.add("nvidia-cublas", "13.1", {"cublas.py": b""})
    assert install.main([]) == 0
    assert "which this machine has no use for: about 2.7 GB to download" in capsys.readouterr().out


def test_a_folder_that_is_no_environment_is_never_cleared(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENV", str(checkout))
    with pytest.raises(SystemExit, match="is no virtual environment"):
        install.main([])
    assert (checkout / "requirements.txt").exists()
