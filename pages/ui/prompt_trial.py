"""Try a prompt on an earlier question: the same passages, the text of the editor, both answers side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.chat.answers import AnsweredQuestion
from core.chat.turns import LiveTurn
from core.prompts import PURPOSES, check
from core.types import Cited, Failed, User
from pages.ui import live, state
from pages.ui.figures import moment
from pages.ui.frame import attempt
from pages.ui.labels import distinct, shortened
from pages.ui.markdown import answer, plain

QUESTION = "trial-question"


def draw(questions: Sequence[AnsweredQuestion], editor: str, user: User) -> None:
    """Choose a question, run it, see both answers."""
    if not questions:
        st.caption("Ask a question in the chat first: then its answer can be made again here with another prompt.")
        return
    st.caption("The passages that were found then are used again: only the prompt differs.")
    trial = state.prompts().trial
    running = trial is not None and trial.active
    names = distinct([shortened(question.query or question.question) for question in questions])
    label = st.selectbox("An earlier question", names, key=QUESTION, disabled=running)
    chosen = questions[names.index(label) if label in names else 0]
    with st.container(horizontal=True):
        st.button(
            "Run with the text in the editor",
            key="run-trial",
            icon=":material/play_arrow:",
            type="primary",
            disabled=running,
            on_click=_run,
            args=(chosen.message_id, editor, user),
        )
        if trial is not None and running:
            st.button("Stop", key="stop-trial", icon=":material/stop_circle:", on_click=trial.cancel.set)
    before, after = st.columns(2, border=True)
    with before:
        st.markdown("**The answer then**")
        st.caption(moment(chosen.created_at))
        st.markdown(answer(chosen.answer), anchors=False)
    with after:
        st.markdown("**With the text in the editor**")
        if trial is None or state.prompts().trial_of != chosen.message_id:
            st.caption("Not run yet.")
        else:
            _result(trial)


def _result(trial: LiveTurn) -> None:
    stage, text = st.empty(), st.empty()
    if trial.active:
        live.watch(trial, stage, text)
        st.rerun()
    cited = next((event for event in trial.events if isinstance(event, Cited)), None)
    failed = next((event for event in trial.events if isinstance(event, Failed)), None)
    if cited:
        stage.caption("From the same passages")
    elif failed:
        stage.error(plain(failed.message), icon=":material/error:")
    else:
        stage.badge("Stopped", icon=":material/stop_circle:", color="gray")
    text.markdown(answer(cited.text if cited else trial.text), anchors=False)


@attempt
def _run(message_id: int, editor: str, user: User) -> None:
    remembered, text = state.prompts(), str(state.value(editor) or "")
    check(PURPOSES["answer"], text)
    remembered.trial = state.services().turns.try_prompt(message_id, text, owner_id=user.id)
    remembered.trial_of = message_id
