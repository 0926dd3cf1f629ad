"""Longer work on models: its progress and outcome, and the forms for importing and for making smaller."""

from __future__ import annotations

import streamlit as st

from core.errors import GroundworkError
from core.models.catalog import CatalogModel
from core.models.importing import look_at
from core.models.workbench import PRECISIONS, Task
from pages.ui import state
from pages.ui.figures import duration, size
from pages.ui.frame import attempt, errors
from pages.ui.markdown import plain

TICK_SECONDS = 1.0
DOING = {"import": "Importing", "examine": "Measuring", "quantize": "Making a smaller version of"}
PATH, NAME, KIND = "import-path", "import-name", "quantize-kind"


def progress() -> None:
    """The work that runs, or how the last one ended."""
    task = state.services().workbench.task
    if task is None:
        return
    if task.active:
        st.fragment(_progress, run_every=TICK_SECONDS)(task)
    elif task.error:
        st.warning(plain(task.error), icon=":material/info:")
    elif task.outcome:
        st.success(plain(task.outcome), icon=":material/check_circle:")


def _progress(task: Task) -> None:
    with errors():
        if not task.active:
            st.rerun()
        left = task.seconds_left()
        about = f" · about {duration(left)} left" if left is not None else ""
        st.progress(
            min(1.0, task.share), text=plain(f"{DOING[task.kind]} {task.model}: {task.phase or 'starting'}{about}")
        )
        st.button("Stop", key="work-stop", icon=":material/stop_circle:", on_click=task.cancel.set)


def draw_open(models: list[CatalogModel]) -> None:
    """The form that is open, if one is."""
    remembered = state.models()
    if remembered.importing:
        st.dialog("Import a model file", on_dismiss=_close, width="medium")(_import_form)()
    elif model := next((model for model in models if model.id == remembered.shrinking), None):
        st.dialog("Make a smaller version", on_dismiss=_close)(_shrink_form)(model)


def open_import() -> None:
    state.models().importing = True


def open_shrink(model_id: str) -> None:
    state.models().shrinking = model_id


@attempt
def examine(model_id: str) -> None:
    """Begin to measure a model."""
    state.services().workbench.examine(model_id)


def _import_form() -> None:
    with errors():
        path = st.text_input(
            "Whole path of a .gguf file on this machine", key=PATH, placeholder="/home/me/models/model.gguf"
        )
        if not path.strip():
            st.caption("It is copied into the model store, so that nothing can change it later.")
            return
        try:
            found = look_at(path)
        except GroundworkError as problem:
            st.error(plain(str(problem)), icon=":material/error:")
            return
        gguf = found.gguf
        facts = [gguf.architecture, gguf.precision, f"{gguf.parameters / 1e9:.2g} billion parameters", size(gguf.bytes)]
        st.caption(plain(" · ".join(fact for fact in facts if fact)))
        st.markdown(
            "**Its chat template** is a small program by the maker of the model. Groundwork runs it in a closed box "
            "without access to anything; look at it if you do not know where the file comes from."
        )
        st.code(gguf.template, language="jinja2", height=240)
        name = st.text_input("Name", value=found.title, key=NAME, max_chars=80)
        with st.container(horizontal=True):
            if st.button("Import", key="import-confirmed", type="primary", disabled=not name.strip()):
                _import(path, name)
            st.button("Cancel", key="import-cancelled", on_click=_close)


def _import(path: str, name: str) -> None:
    state.services().workbench.import_file(look_at(path), name.strip())
    _close()
    st.rerun()


def _shrink_form(model: CatalogModel) -> None:
    with errors():
        st.markdown(
            f"**{plain(model.title)}** takes {size(model.bytes)}. llama.cpp rewrites its weights with fewer bits. The "
            "original stays. Both are measured with the same questions, so that you see what it costs."
        )
        kinds = list(PRECISIONS)
        kind = st.selectbox("Precision", kinds, key=KIND, format_func=lambda kind: f"{kind}: {PRECISIONS[kind]}")
        st.caption(
            "Takes about five minutes for a model of 1 GB, most of it for measuring. Answers are slower meanwhile."
        )
        with st.container(horizontal=True):
            if st.button("Make it", key="quantize-confirmed", type="primary"):
                _shrink(model, str(kind))
            st.button("Cancel", key="quantize-cancelled", on_click=_close)


def _shrink(model: CatalogModel, kind: str) -> None:
    state.services().workbench.quantize(model.id, kind, f"{model.title} {kind}")
    _close()
    st.rerun()


def _close() -> None:
    remembered = state.models()
    remembered.importing, remembered.shrinking = False, None
