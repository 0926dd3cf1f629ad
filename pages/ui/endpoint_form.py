"""The form of a model service: where it is, its key, its model, and how much that model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from pydantic import SecretStr

from core.errors import GroundworkError
from core.models.endpoint import (
    LARGEST_CONTEXT,
    LONGEST_KEY,
    LONGEST_MODEL,
    LONGEST_NAME,
    SMALLEST_CONTEXT,
    Draft,
    Endpoint,
    KeyKind,
)
from pages.ui import state
from pages.ui.frame import attempt, errors, say
from pages.ui.markdown import plain

NAME, URL, KIND, KEY = "endpoint-name", "endpoint-url", "endpoint-kind", "endpoint-key"
VARIABLE, MODEL, OFFERED, CONTEXT = "endpoint-variable", "endpoint-model", "endpoint-offered", "endpoint-context"
FIRST_CONTEXT = 8192
KINDS = {KeyKind.none: "None", KeyKind.stored: "Typed here", KeyKind.variable: "Environment"}
EXAMPLES = (
    "As its manual gives it for OpenAI clients: llama-server `http://127.0.0.1:8080/v1`, "
    "OpenRouter `https://openrouter.ai/api/v1`, Azure `https://NAME.openai.azure.com/openai/v1`."
)


def open_new() -> None:
    """Open the empty form."""
    _open("", {NAME: "", URL: "", KIND: KeyKind.none, VARIABLE: "", MODEL: "", CONTEXT: FIRST_CONTEXT})


def open_for(endpoint: Endpoint) -> None:
    """Open the form with what is known of a service; its key is not among it."""
    known = {NAME: endpoint.name, URL: endpoint.url, KIND: endpoint.key_kind, VARIABLE: endpoint.key_variable}
    _open(endpoint.id, {**known, MODEL: endpoint.model, CONTEXT: endpoint.context_tokens})


def draw_open(endpoints: Sequence[Endpoint]) -> None:
    """The form, while it is open."""
    editing = state.models().editing
    if editing is None:
        return
    found = next((endpoint for endpoint in endpoints if endpoint.id == editing), None)
    title = "Add a model service" if found is None else "Change a model service"
    st.dialog(title, on_dismiss=_close)(_form)(found)


def _form(endpoint: Endpoint | None) -> None:
    with errors():
        st.text_input("Name", key=NAME, max_chars=LONGEST_NAME, placeholder="What you call it")
        st.text_input("Address", key=URL, placeholder="https://example.org/v1")
        st.caption(EXAMPLES)  # not as `help`: its sign would stand between two fields for those who use the keyboard
        st.segmented_control("Key", list(KINDS), key=KIND, required=True, format_func=lambda kind: KINDS[kind])
        _key(endpoint)
        if st.button("List its models", key="endpoint-list", icon=":material/list:"):
            with st.spinner("Asking the service for its models"):
                _list_models(endpoint)
        _offered()
        st.text_input("Model", key=MODEL, max_chars=LONGEST_MODEL, placeholder="Its name, as the service calls it")
        st.number_input(
            "Context length in tokens",
            SMALLEST_CONTEXT,
            LARGEST_CONTEXT,
            step=1024,
            key=CONTEXT,
            help="What the model can read and write at once. With a larger number than it has the service refuses long "
            "questions, with a smaller one fewer passages are sent.",
        )
        if state.models().problem:
            st.error(plain(state.models().problem), icon=":material/error:")
        with st.container(horizontal=True):
            st.button("Save", key="endpoint-save", type="primary", on_click=_save, args=(endpoint,))
            st.button("Cancel", key="endpoint-cancel", on_click=_close_now)


def _key(endpoint: Endpoint | None) -> None:
    if state.value(KIND) == KeyKind.stored:
        stored = endpoint is not None and endpoint.key_kind is KeyKind.stored
        st.text_input(
            "The key",
            key=KEY,
            type="password",
            max_chars=LONGEST_KEY,
            # Without these the text is lost when the focus leaves by the eye, as it does for who uses the keyboard.
            live="0s",
            on_change="ignore",
            placeholder="Stored. Leave empty to keep it" if stored else "It is encrypted and never shown again",
        )
    elif state.value(KIND) == KeyKind.variable:
        st.text_input(
            "Environment variable",
            key=VARIABLE,
            placeholder="OPENROUTER_API_KEY",
            help="It has to be set where Groundwork is started.",
        )


def _offered() -> None:
    models = state.models().offered
    if models:
        st.selectbox(
            "Models of this service",
            [model.id for model in models],
            index=None,
            key=OFFERED,
            placeholder=f"Choose one of {len(models)}",
            on_change=_choose,
        )


def _list_models(endpoint: Endpoint | None) -> None:
    remembered = state.models()
    remembered.offered, remembered.problem = (), ""
    try:
        remembered.offered = tuple(state.services().endpoints.offered(_draft(), endpoint.id if endpoint else ""))
    except GroundworkError as problem:
        remembered.problem = str(problem)


def _choose() -> None:
    chosen = next((model for model in state.models().offered if model.id == state.value(OFFERED)), None)
    if chosen is not None:
        state.put(MODEL, chosen.id)
    if chosen is not None and chosen.context_tokens >= SMALLEST_CONTEXT:
        state.put(CONTEXT, min(chosen.context_tokens, LARGEST_CONTEXT))


def _draft() -> Draft:
    kind, typed = state.value(KIND) or KeyKind.none, (state.value(KEY) or "").strip()
    return Draft(
        name=state.value(NAME) or "",
        url=state.value(URL) or "",
        model=state.value(MODEL) or "",
        context_tokens=state.value(CONTEXT) or 0,
        key_kind=kind,
        key=SecretStr(typed) if typed and kind == KeyKind.stored else None,
        key_variable=state.value(VARIABLE) or "",
    )


@attempt
def _save(endpoint: Endpoint | None) -> None:
    endpoints, draft = state.services().endpoints, _draft()
    try:
        saved = endpoints.add(draft) if endpoint is None else endpoints.change(endpoint.id, draft)
    except GroundworkError as problem:
        state.models().problem = str(problem)
        return
    _close()
    state.services().health.look_again()
    say(f"{saved.name} is saved." + (" Test it, then use it." if endpoint is None else ""))
    st.rerun()


def _open(endpoint_id: str, contents: Mapping[str, object]) -> None:
    remembered = state.models()
    remembered.editing, remembered.offered, remembered.problem = endpoint_id, (), ""
    for key, content in {**contents, KEY: ""}.items():
        state.put(key, content)


def _close() -> None:
    remembered = state.models()
    remembered.editing, remembered.offered, remembered.problem = None, (), ""
    state.put(KEY, "")  # a key stays in this process no longer than it has to


def _close_now() -> None:
    _close()
    st.rerun()
