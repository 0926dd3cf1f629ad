"""The models of the catalog: what each is for, whether it is here, and how far its download is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.health import Health
from core.models.attacks import attacks_on
from core.models.catalog import CatalogModel
from core.models.endpoint import Endpoint
from core.models.fit import Fit, fit
from core.models.installed import Download, ModelView
from core.models.workbench import Measurement
from pages.ui import model_figures, model_work, state, status
from pages.ui.figures import count, duration, size
from pages.ui.frame import attempt, errors, say
from pages.ui.markdown import plain, words

TICK_SECONDS = 1.0
ROLES = {
    "chat": ("Chat models", "One of them writes the answers."),
    "embedding": ("Embedding models", "They find passages by their meaning."),
    "reranker": ("Rerankers", "They put passages into a better order."),
}
PHASES = {
    "starting": "Starting",
    "waiting": "Another process is fetching it",
    "downloading": "Downloading",
    "verifying": "Checking every byte",
    "done": "Done",
}


def cards(views: list[ModelView], health: Health) -> None:
    """A card for each model, by what it is for."""
    measured = state.services().workbench.latest()
    for role, (title, lead) in ROLES.items():
        found = [view for view in views if view.model.role == role]
        if not found:
            continue
        st.subheader(title, anchor=False)
        st.caption(lead)
        for view in sorted(found, key=lambda view: (not view.active, not view.installed)):
            suits = fit(view.model, [other.model for other in found], measured) if role == "chat" else None
            _card(view, health, suits, measured.get(view.model.id))
        if role == "chat":
            st.button(
                "Import a model file", key="import", icon=":material/upload_file:", on_click=model_work.open_import
            )


def _card(view: ModelView, health: Health, suits: Fit | None, newest: Measurement | None) -> None:
    model = view.model
    with st.container(border=True, key=f"model-{model.id}"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.markdown(f"**{plain(model.title)}**", width="content")
            _badges(view, health)
        st.markdown(plain(model.description))
        st.caption(" · ".join(_facts(model)))
        if not model.sources and model.files:
            st.caption(f"Made or imported here · SHA-256 `{model.sha256}`")
        if suits:
            st.caption(model_figures.line(suits, newest))
        if model.role == "chat":
            st.caption(model_figures.attacks(attacks_on(model.id)))
        if view.download and view.download.active:
            st.fragment(_download, run_every=TICK_SECONDS)(view.download)
            return
        if view.download and view.download.error:
            st.warning(plain(view.download.error), icon=":material/info:")
        _actions(view, health)
        if newest:
            model_figures.history(state.services().workbench.measurements(model.id))


def _badges(view: ModelView, health: Health) -> None:
    if view.standing_by:
        st.badge("Standing by", icon=":material/pause_circle:", color="gray")
    elif view.active:
        answering = health.chat_model == view.model.id or view.model.role != "chat"
        if view.installed and health.passing and not answering:
            st.badge("Being loaded", icon=":material/hourglass_top:", color="blue")
        else:
            st.badge("In use", icon=":material/check_circle:", color="green" if view.installed else "orange")
    if view.installed and not view.active:
        st.badge("Installed", icon=":material/check:", color="gray")
    if not view.installed:
        st.badge("Not downloaded", icon=":material/cloud_download:", color="gray")


def _facts(model: CatalogModel) -> list[str]:
    facts = [plain(model.licence)]
    facts += [size(model.bytes)] if model.bytes else []
    facts.append(f"reads {model.context_tokens:,} tokens")
    facts += [f"{model.dimension} dimensions"] if model.dimension else []
    return [*facts, _languages(model.languages)]


def _languages(codes: Sequence[str]) -> str:
    if "multilingual" in codes:
        return "many languages"
    more = f" and {count(len(codes) - 4, 'more language')}" if len(codes) > 4 else ""
    return plain(", ".join(codes[:4])) + more


def _actions(view: ModelView, health: Health) -> None:
    model = view.model
    with st.container(horizontal=True):
        if not view.installed and model.fetchable:
            begun = view.download is not None and view.download.done > 0
            st.button(
                "Go on downloading" if begun else f"Download {size(model.bytes)}",
                key=f"fetch-{model.id}",
                icon=":material/download:",
                type="primary" if view.active else "secondary",
                on_click=_fetch,
                args=(model.id,),
            )
        answers = view.active and not view.standing_by and health.failed != model.id
        if view.installed and model.role == "chat" and not answers:
            st.button(
                "Use this model", key=f"use-{model.id}", icon=":material/swap_horiz:", on_click=_use, args=(model,)
            )
        if view.installed and not view.active:
            st.button("Remove", key=f"remove-{model.id}", icon=":material/delete:", on_click=_ask, args=(model.id,))
        if view.installed and model.role == "chat":
            _work_actions(model)
    if not view.installed and not model.files:
        st.caption("Groundwork cannot verify this one, so it does not fetch it. Put its folder into the model store.")


def _work_actions(model: CatalogModel) -> None:
    task = state.services().workbench.task
    busy = task is not None and task.active
    st.button(
        "Measure here",
        key=f"examine-{model.id}",
        icon=":material/speed:",
        help="Loads the model beside the one in use for about two minutes: speed, and questions with known answers.",
        disabled=busy,
        on_click=model_work.examine,
        args=(model.id,),
    )
    st.button(
        "Make smaller",
        key=f"shrink-{model.id}",
        icon=":material/compress:",
        disabled=busy,
        on_click=model_work.open_shrink,
        args=(model.id,),
    )


def _download(download: Download) -> None:
    with errors():
        if not download.active:
            st.rerun()
        share = min(1.0, download.done / download.total) if download.total else 0.0
        text = f"{PHASES.get(download.phase, download.phase)}: {size(download.done)} of {size(download.total)}"
        left = download.seconds_left()
        if left is not None and download.phase == "downloading":
            text += f" · about {duration(left)} left"
        st.progress(share, text=text)
        st.button("Pause", key=f"pause-{download.model.id}", icon=":material/pause:", on_click=download.cancel.set)


def draw_open(views: list[ModelView]) -> None:
    """The question before a model is removed."""
    view = next((view for view in views if view.model.id == state.models().removing), None)
    if view is not None:
        st.dialog("Remove this model?", on_dismiss=_close)(_confirm)(view.model)


def _confirm(model: CatalogModel) -> None:
    with errors():
        again = "It can be downloaded again." if model.fetchable else "It was made or imported here and is gone then."
        st.markdown(f"**{plain(model.title)}** frees {size(model.bytes)}. {again}")
        with st.container(horizontal=True):
            st.button("Remove", key="remove-confirmed", type="primary", on_click=_remove, args=(model,))
            st.button("Keep it", key="remove-cancelled", on_click=_close_now)


def _ask(model_id: str) -> None:
    state.models().removing = model_id


def _close() -> None:
    state.models().removing = None


def _close_now() -> None:
    _close()
    st.rerun()


@attempt
def _fetch(model_id: str) -> None:
    state.services().models.download(model_id)


@attempt
def _use(model: CatalogModel) -> None:
    state.services().models.activate(model.id)
    state.services().health.look_again()
    say(f"{model.title} is being loaded.")


@attempt
def _remove(model: CatalogModel) -> None:
    _close()
    state.services().models.remove(model.id)
    say(f"{model.title} was removed.")
    st.rerun()


def summary(health: Health, views: list[ModelView], service: Endpoint | None) -> None:
    """One line on how the model server is, and one on where text goes when another service answers."""
    installed = sum(view.installed for view in views)
    if health.word == "ready" and health.service:
        answering = f"{plain(health.chat_model)} at {words(health.service)} answers."
        st.success(f"Questions can be asked: {answering}", icon=":material/check_circle:")
    elif health.word == "ready":
        st.success(f"The model is ready: {plain(health.chat_model)} answers.", icon=":material/check_circle:")
    elif health.passing:
        status.model()
    else:
        st.warning(plain(health.sentence), icon=":material/warning:")
    if service is not None:
        status.destination(service)
    st.caption(f"{count(installed, 'model')} of {len(views)} installed.")
