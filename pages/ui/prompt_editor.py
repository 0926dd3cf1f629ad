"""The editor of a prompt: a text, its variables, what is wrong with it, and saving it as a new version."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import BadPrompt
from core.prompts import LONGEST, PromptVersion, Purpose, check
from core.types import User
from pages.ui import state
from pages.ui.frame import attempt, say
from pages.ui.markdown import plain

REASON = "prompt-reason"


def key_of(purpose: Purpose) -> str:
    """The key of the editor of this prompt; what is typed there stays while one looks at other pages."""
    return f"prompt-text-{purpose.name}"


def draw(purpose: Purpose, versions: Sequence[PromptVersion], user: User) -> None:
    """The editor, the published text in it at first."""
    key, published = key_of(purpose), next(version for version in versions if version.published)
    if state.value(key) is None:
        state.put(key, published.text)
    st.text_area(
        f"Text of the prompt {purpose.title}",
        key=key,
        height=340,
        max_chars=LONGEST,
        persist_state="session",
        help="The lines [system], [user] and [assistant] say who speaks.",
    )
    _problem(purpose, state.value(key) or "")
    st.markdown("  \n".join(_variables(purpose)))
    with st.form("save-prompt", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("Reason for the change", key=REASON, placeholder="What should be better now?", max_chars=500)
            st.form_submit_button(
                "Save as new version", key="save-version", type="primary", on_click=_save, args=(purpose, user)
            )
    _next_steps(versions[0], published, str(state.value(key) or ""))


def load(version: PromptVersion) -> None:
    """Put the text of a version into the editor."""
    state.put(f"prompt-text-{version.prompt}", version.text)
    state.prompts().problem = ""


def _next_steps(newest: PromptVersion, published: PromptVersion, text: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if text.strip() == newest.text and not newest.published:
            st.caption(f"This is version {newest.version}. It is not in use yet.", width="content")
            st.button(
                f"Publish version {newest.version}", key="publish-newest", on_click=ask_reason, args=(newest.version,)
            )
        if text.strip() != published.text:
            st.button("Back to the published text", key="reset-text", type="tertiary", on_click=load, args=(published,))


def ask_reason(version: int) -> None:
    """Open the question why this version is to be published."""
    state.prompts().publishing = version


def _problem(purpose: Purpose, text: str) -> None:
    """What is wrong with the text, or was wrong at the last attempt to save it."""
    try:
        check(purpose, text)
    except BadPrompt as problem:
        st.error(plain(str(problem)), icon=":material/error:")
        return
    if state.prompts().problem:
        st.error(plain(state.prompts().problem), icon=":material/error:")


def _variables(purpose: Purpose) -> list[str]:
    return [
        f":small[`{{{{{name}}}}}` {meaning}{'' if name in purpose.required else ' (may be left out)'}]"
        for name, meaning in purpose.variables.items()
    ]


@attempt
def _save(purpose: Purpose, user: User) -> None:
    remembered, text = state.prompts(), state.value(key_of(purpose)) or ""
    remembered.problem = ""
    try:
        check(purpose, text)
    except BadPrompt:
        return  # the editor says so while it is drawn
    reason = " ".join(str(state.value(REASON) or "").split())
    if not reason:
        remembered.problem = "Say in a few words why you changed it: the reason is kept with the version."
        return
    saved = state.services().prompts.save(purpose.name, text, author_id=user.id, reason=reason)
    state.put(REASON, "")
    say(f"Saved as version {saved.version}. It is not in use until it is published.")
