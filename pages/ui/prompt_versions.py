"""The versions of a prompt: who made them and why, how they differ, which one is in use, and how that changed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import BadPrompt
from core.prompts import PromptVersion, Publication
from core.types import User
from pages.ui import difference, prompt_editor, state
from pages.ui.figures import moment
from pages.ui.frame import attempt, errors, say
from pages.ui.markdown import plain

REASON = "publish-reason"


def table(versions: Sequence[PromptVersion], moves: Sequence[Publication], user: User) -> None:
    """A row for each version, the newest first."""
    _back(moves, user)
    for version in versions:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"version-{version.version}"):
            with st.container(gap=None):
                with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                    st.markdown(f"**Version {version.version}**", width="content")
                    if version.published:
                        st.badge("In use", icon=":material/check:", color="green")
                st.caption(f"{plain(version.author)} · {moment(version.created_at)} · {plain(version.reason)}")
            st.button("Edit from here", key=f"load-{version.version}", type="tertiary", on_click=_load, args=(version,))
            st.button(
                "Publish",
                key=f"publish-{version.version}",
                disabled=version.published,
                on_click=prompt_editor.ask_reason,
                args=(version.version,),
            )


def comparison(versions: Sequence[PromptVersion], purpose_key: str) -> None:
    """The difference between any two versions, or a version and the text in the editor."""
    texts = {"Text in the editor": str(state.value(purpose_key) or "")}
    texts |= {f"Version {version.version}{_in_use(version)}": version.text for version in versions}
    names = list(texts)
    published = next(n for n, name in enumerate(names) if name.endswith("(in use)"))
    with st.container(horizontal=True):
        old = st.selectbox("From", names, index=published, key="compare-from")
        new = st.selectbox("To", names, index=0, key="compare-to")
    if texts[old] == texts[new]:
        st.caption("The two texts are the same.")
        return
    st.markdown(difference.LEGEND)
    with st.container(border=True, key="difference"):
        st.markdown(difference.markdown(texts[old], texts[new]))


def history(moves: Sequence[Publication]) -> None:
    """How the published version changed."""
    if not moves:
        st.caption("Version 1, which ships with Groundwork, has been in use from the start.")
    for move in moves:
        st.markdown(f"**Version {move.from_version} → {move.to_version}**")
        st.caption(
            f"{plain(move.author)} · {moment(move.created_at)}" + (f" · {plain(move.reason)}" if move.reason else "")
        )


def draw_open(name: str, user: User) -> None:
    """The question why, before a version is published."""
    version = state.prompts().publishing
    if version is not None:
        st.dialog(f"Publish version {version}?", on_dismiss=_close)(_publish_form)(name, version, user)


def _back(moves: Sequence[Publication], user: User) -> None:
    if not moves:
        return
    last = moves[0]
    st.button(
        f"Go back to version {last.from_version}",
        key="roll-back",
        icon=":material/undo:",
        on_click=_publish,
        args=(user, last.from_version, f"Back from version {last.to_version}."),
    )


def _publish_form(name: str, version: int, user: User) -> None:
    with errors():
        st.markdown(f"The next answer is made with version {version} of the prompt *{plain(name)}*.")
        with st.form("publish-form", border=False):
            st.text_input("Reason", key=REASON, max_chars=500, placeholder="Why is it better?", required=True)
            st.form_submit_button(
                "Publish", key="publish-confirmed", type="primary", on_click=_publish, args=(user, version, None)
            )


def _in_use(version: PromptVersion) -> str:
    return " (in use)" if version.published else ""


@attempt
def _load(version: PromptVersion) -> None:
    prompt_editor.load(version)
    say(f"Version {version.version} is in the editor.")


def _close() -> None:
    state.prompts().publishing = None


@attempt
def _publish(user: User, version: int, reason: str | None) -> None:
    name = state.prompts().purpose
    given = reason if reason is not None else " ".join(str(state.value(REASON) or "").split())
    if not given:
        raise BadPrompt("Say in a few words why this version is to be used: the reason is kept with it.")
    _close()
    state.services().prompts.publish(name, version, author_id=user.id, reason=given)
    say(f"Version {version} is in use now.")
    st.rerun()
