"""Prompts: edit, compare, try on an earlier question, publish, go back."""

import streamlit as st

from core.prompts import PURPOSES
from core.types import User
from pages.ui import frame, prompt_editor, prompt_trial, prompt_versions, state


def draw(user: User) -> None:
    services, remembered = state.services(), state.prompts()
    names = list(PURPOSES)
    remembered.purpose = st.segmented_control(
        "Prompt",
        names,
        default=remembered.purpose,
        required=True,
        format_func=lambda name: PURPOSES[name].title,
        key="purpose",
        label_visibility="collapsed",
    )
    purpose = PURPOSES[remembered.purpose]
    published = services.prompts.published(purpose.name)
    st.caption(f"{purpose.description} Version {published.version} is in use.")
    labels = ["Edit", "Versions", "Compare", *(["Try it"] if purpose.name == "answer" else []), "History"]
    tabs = dict(zip(labels, st.tabs(labels, key=f"prompt-tabs-{purpose.name}", on_change="rerun"), strict=True))
    opened = next((label for label, tab in tabs.items() if tab.open), "Edit")
    with tabs[opened]:
        if opened == "Edit":
            prompt_editor.draw(purpose, services.prompts.versions(purpose.name), user)
        elif opened == "Versions":
            moves = services.prompts.publications(purpose.name)
            prompt_versions.table(services.prompts.versions(purpose.name), moves, user)
        elif opened == "Compare":
            prompt_versions.comparison(services.prompts.versions(purpose.name), prompt_editor.key_of(purpose))
        elif opened == "Try it":
            prompt_trial.draw(services.answers.recent(owner_id=user.id), prompt_editor.key_of(purpose), user)
        else:
            prompt_versions.history(services.prompts.publications(purpose.name))
    prompt_versions.draw_open(purpose.name, user)


with frame.page("Prompts", "What the model is told. Saved versions never change; publishing puts one to use.") as user:
    draw(user)
