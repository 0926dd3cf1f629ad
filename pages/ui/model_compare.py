"""One question, two answers side by side; people say which is better, and only then see who is who."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.chat.comparisons import Comparison, Contender, cited
from core.models.installed import ModelView
from core.types import Failed, Scope, User
from pages.ui import live, state
from pages.ui.frame import attempt
from pages.ui.labels import distinct
from pages.ui.markdown import answer, plain

QUESTION, FIRST, SECOND, WHAT = "compare-question", "compare-first", "compare-second", "compare-what"
MODELS, PROMPTS = "Two models", "Two prompt versions"
BETTER = {"left": "The left one", "same": "Both alike", "right": "The right one"}


def draw(views: Sequence[ModelView], user: User) -> None:
    """The form, the two answers, the choice, and what was chosen so far."""
    st.caption("Both answer from the same passages of your documents. Who is who is shown after you have chosen.")
    what = st.segmented_control("Compare", [MODELS, PROMPTS], default=MODELS, key=WHAT, required=True)
    models = state.models()
    models.comparison = models.comparison or state.services().comparisons.undecided(user_id=user.id)
    contenders = _models(views) if what == MODELS else _versions(views)
    if len(contenders) < 2:
        missing = "Download or import a second chat model" if what == MODELS else "Save a second version of the prompt"
        st.info(f"There is only one to choose from. {missing} first.", icon=":material/info:")
    else:
        _form(contenders, user)
    if comparison := models.comparison:
        _answers(comparison, user)
    _tallies()


def _models(views: Sequence[ModelView]) -> list[Contender]:
    return [
        Contender(view.model.id, view.model.title) for view in views if view.installed and view.model.role == "chat"
    ]


def _versions(views: Sequence[ModelView]) -> list[Contender]:
    active = next((view.model for view in views if view.active and view.model.role == "chat" and view.installed), None)
    if active is None:
        return []
    versions = state.services().prompts.versions("answer")
    return [Contender(active.id, active.title, version.version) for version in versions]


def _form(contenders: Sequence[Contender], user: User) -> None:
    running = state.models().comparison is not None and state.models().comparison.active  # type: ignore[union-attr]
    labels = dict(zip(distinct([contender.label for contender in contenders]), contenders, strict=True))
    left, right = st.columns(2)
    first = left.selectbox("One", list(labels), key=FIRST, disabled=running)
    second = right.selectbox("The other", list(labels), index=1, key=SECOND, disabled=running)
    question = st.text_area("Question", key=QUESTION, height="content", disabled=running)
    chosen = (labels.get(first), labels.get(second))
    st.button(
        "Ask both",
        key="compare-run",
        type="primary",
        icon=":material/balance:",
        disabled=running or not question.strip() or None in chosen,
        on_click=_start,
        args=(question, chosen, user),
    )


def _answers(comparison: Comparison, user: User) -> None:
    st.markdown(f"**{plain(comparison.question)}**")
    followed = False
    for column, side, turn in zip(st.columns(2, border=True), comparison.sides, comparison.turns, strict=True):
        with column:
            st.markdown(f"**{plain(side.label)}**" if comparison.better else f"**{turn.conversation_id.title()}**")
            stage, text = st.empty(), st.empty()
            found = cited(turn)
            failed = next((event for event in turn.events if isinstance(event, Failed)), None)
            if found:
                text.markdown(answer(found.text), anchors=False)
            elif failed:
                stage.error(plain(failed.message), icon=":material/error:")
            elif turn.active:
                st.button("Stop", key=f"compare-stop-{turn.conversation_id}", on_click=comparison.cancel.set)
                live.watch(turn, stage, text)
                followed = True
    if followed or comparison.active:
        st.rerun()
    if comparison.complete and not comparison.better:
        st.markdown("Which answer is better?")
        with st.container(horizontal=True):
            for better, label in BETTER.items():
                st.button(label, key=f"better-{better}", on_click=_prefer, args=(comparison, better, user))
    elif comparison.better:
        st.caption(f"You chose: {BETTER[comparison.better].lower()}.")


def _tallies() -> None:
    tallies = state.services().comparisons.tallies()
    if not tallies:
        return
    st.subheader("Chosen so far", anchor=False)
    rows = [
        {"One": plain(tally.first), "The other": plain(tally.second), "One was better": tally.first_better,
         "The other was": tally.second_better, "Alike": tally.same}
        for tally in tallies
    ]  # fmt: skip
    st.table(rows)


@attempt
def _start(question: str, chosen: tuple[Contender, Contender], user: User) -> None:
    first, second = chosen
    state.models().comparison = state.services().comparisons.start(question, Scope(user.id), first, second)


@attempt
def _prefer(comparison: Comparison, better: str, user: User) -> None:
    state.services().comparisons.prefer(comparison, better, user_id=user.id)
