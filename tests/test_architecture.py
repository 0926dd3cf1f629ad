"""The layers of the house, read from the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import ROOT

# Lower layers come first; a module may import from its own layer and those before it.
LAYERS = [
    ["core.types", "core.errors"],
    [
        "core.settings",
        "core.names",
        "core.living",
        "core.installation",
        "core.guard",
        "core.instructions",
        "core.traces",
        "core.purposes",
        "core.words",
    ],
    ["core.storage", "core.models"],
    [
        "core.accounts",
        "core.jobs",
        "core.leases",
        "core.batches",
        "core.rates",
        "core.rebuilds",
        "core.collections",
        "core.tags",
        "core.originals",
        "core.retrieval",
        "core.prompts",
        "core.processes",
        "core.readers",
        "core.health",
    ],
    ["core.documents", "core.deletions", "core.library", "core.sources"],
    ["core.arrivals", "core.overview", "core.page_pictures", "core.tidying"],
    ["core.chat", "core.samples", "ingest"],
    [
        "core.feedback",
        "core.fsck",
        "core.evaluation.bench",
        "core.evaluation.runs",
        "core.evaluation.figures",
        "core.evaluation.progress",
    ],
    ["core.services"],
    ["core.readiness"],
    ["core.evaluation", "core.replay_command"],
    ["core.api", "core.cli", "core.__main__", "ingest.__main__", "ingest.source_command", "pages", "app"],
]
# preflight runs before anything is installed; it imports nothing of ours.
OWNERS = {
    "faiss": {"core/retrieval/dense"},
    "snowballstemmer": {"core/words"},
    "llama_cpp": {"core/serving"},
    "torch": {"core/serving"},
    "sentence_transformers": {"core/serving"},
    "openvino": {"core/serving/vectors"},
    "docx": {"ingest/loaders/word.py"},
    "openpyxl": {"ingest/loaders/sheets.py"},
    "pptx": {"ingest/loaders/slides.py"},
    "pypdfium2": {
        "ingest/loaders/pdf.py",
        "ingest/loaders/pdf_extras.py",
        "ingest/loaders/pdf_glyphs.py",
        "ingest/loaders/pdf_outline.py",
        "ingest/loaders/pdf_page.py",
        "ingest/loaders/pictures.py",
        "ingest/loaders/page_view.py",
        "ingest/loaders/places.py",
    },
    "PIL": {"ingest/loaders/pictures.py", "ingest/loaders/page_view.py"},
    "rapidocr": {"ingest/ocr/rapid.py"},
    "langchain_community": {"ingest/loaders/community.py"},
    "openai": {"core/models/client.py"},
    "cryptography": {"core/models/secrets.py"},
    "pysqlite3": {"core/storage/db.py"},
    "httpcore2": {"ingest/sources/fetch.py", "ingest/sources/line.py"},
    "protego": {"ingest/sources/robots.py"},
    "streamlit": {"app.py", "pages"},
    "tokenizers": {"ingest", "core/serving/vectors"},
}
SOURCES = [p for folder in ("core", "ingest", "pages") for p in sorted((ROOT / folder).rglob("*.py"))] + [
    ROOT / "app.py"
]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer(module: str) -> int | None:
    best: tuple[int, int] | None = None
    for number, names in enumerate(LAYERS):
        for name in names:
            if module == name or module.startswith(name + "."):
                best = max(best or (0, -1), (len(name), number))
    return best[1] if best else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_module_imports_from_a_higher_layer(path: Path) -> None:
    own = layer(module_name(path))
    if module_name(path).startswith("core.serving"):
        allowed = (
            "core.types",
            "core.errors",
            "core.settings",
            "core.models.catalog",
            "core.models.gguf",
            "core.models.exam",
            "core.models.local",
            "core.models.status",  # what goes over HTTP has one shape on both sides
            "core.serving",
        )
        assert not [
            m for m in imports(path) if m.startswith(("core.", "ingest", "pages")) and not m.startswith(allowed)
        ]
        return
    for imported in imports(path):
        if imported.startswith(("core.", "ingest.", "pages.")) and own is not None:
            assert (layer(imported) or 0) <= own, f"{module_name(path)} imports {imported}"
            assert not imported.startswith("core.serving"), "the model server is reached over HTTP only"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_each_heavy_library_has_one_owner(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    for imported in imports(path):
        owners = OWNERS.get(imported.split(".")[0])
        assert owners is None or any(place == o or place.startswith(o + "/") for o in owners), f"{place}: {imported}"


def test_pages_know_no_database_and_no_models() -> None:
    forbidden = ("sqlalchemy", "faiss", "langchain", "core.storage", "core.models.client", "core.models.chat_model")
    found = [(p.name, m) for p in (ROOT / "pages").rglob("*.py") for m in imports(p) if m.startswith(forbidden)]
    assert not found


def test_importing_the_services_loads_no_heavy_library() -> None:
    code = (
        "import sys, core.services; "
        "print([m for m in ('torch', 'llama_cpp', 'sentence_transformers', 'transformers', 'streamlit', 'pandas', 'langchain_core', 'openai', 'alembic', 'cryptography') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "dill", "joblib", "shelve", "marshal", "langchain_experimental"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_runs_data_as_code(path: Path) -> None:
    assert not FORBIDDEN_MODULES & {m.split(".")[0] for m in imports(path)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        assert name not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"
        for keyword in node.keywords:
            risky = keyword.arg in (
                "shell",
                "trust_remote_code",
                "unsafe_allow_html",
                "allow_dangerous_deserialization",
            )
            assert not (risky and getattr(keyword.value, "value", None) is True), f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    screen = path.parent == ROOT / "pages"
    assert text.count("\n") <= (120 if screen else 300)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or node.lineno) - node.lineno + 1 <= 60, f"{path}:{node.lineno} {node.name}"


EDGES = {
    "pages/ui/frame.py",  # the page, and the turn that a page has begun
    "core/chat/turns.py",
    "ingest/worker.py",  # the job, and the look at a source, which is one too
    "ingest/sources/keeper.py",
    "core/api/app.py",  # the API
    "core/tidying.py",
    "core/serving/loading.py",  # the loading of a model
    "core/serving/office.py",  # what a native process is asked: whoever asked waits for an answer
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_only_the_edges_catch_everything(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            assert not broad or path.relative_to(ROOT).as_posix() in EDGES, f"{path}:{node.lineno}"
