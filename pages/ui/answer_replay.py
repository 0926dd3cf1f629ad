"""An answer made again: unchanged, which must give the same text, or with a change, side by side with what it was."""

from __future__ import annotations

import streamlit as st

from core.chat.making import Making
from core.chat.replays import MOST_PASSAGES, Change, Replay
from core.errors import NotFound
from core.types import Failed, User
from pages.ui import difference, live, state
from pages.ui.figures import count
from pages.ui.frame import attempt
from pages.ui.markdown import answer, plain

AS_IT_WAS = "As it was"
WHAT = (
    "Replay gives the model the same prompt, passages, seed and settings once more, without anything from its cache. "
    "The text should be the same."
)


def draw(message_id: int, user: User) -> None:
    """What stands in the way, the two buttons, the form of a change, and the result."""
    replays = state.services().replays
    try:
        making = replays.making(message_id, owner_id=user.id)
    except NotFound as missing:
        st.caption(plain(str(missing)))
        return
    st.caption(WHAT)
    replay = state.chat().replay
    running = replay is not None and replay.turn.active
    obstacles = replays.obstacles(making)
    for obstacle in obstacles:
        st.info(plain(obstacle), icon=":material/block:")
    if making.attribution is None or making.gone:
        return
    with st.container(horizontal=True):
        st.button(
            "Replay",
            key=f"replay-{message_id}",
            icon=":material/replay:",
            disabled=running or bool(obstacles),
            on_click=_replay,
            args=(message_id, Change(), user),
        )
        if replay is not None and running:
            st.button("Stop", key=f"replay-stop-{message_id}", on_click=replay.turn.cancel.set)
    _form(making, user, running=running)
    if replay is not None and replay.making.message_id == message_id:
        _result(replay)


def _form(making: Making, user: User, *, running: bool) -> None:
    """What may be changed, each with what it was as the first choice."""
    services, id = state.services(), making.message_id
    origin = making.attribution
    assert origin is not None
    versions = [version.version for version in services.prompts.versions("answer")]
    models = [view.model.id for view in services.models.list_models() if view.installed and view.model.role == "chat"]
    with st.form(f"replay-form-{id}", border=True):
        st.markdown("**Replay with a change**")
        left, right = st.columns(2)
        prompts = {f"{AS_IT_WAS}: version {origin.prompt}": 0} | {
            f"Version {number}": number for number in versions if number != origin.prompt
        }
        left.selectbox("Prompt", list(prompts), key=f"replay-prompt-{id}")
        others = {f"{AS_IT_WAS}: {origin.model}": ""} | {model: model for model in models if model != origin.model}
        right.selectbox("Model", list(others), key=f"replay-model-{id}")
        most = max(MOST_PASSAGES, len(making.passages))
        left.number_input("Passages", 0, most, len(making.passages), key=f"replay-passages-{id}")
        temperature = float(origin.sampling.get("temperature") or 0.0)
        right.number_input("Temperature", 0.0, 2.0, temperature, 0.1, key=f"replay-temperature-{id}")
        st.form_submit_button(
            "Replay with this change",
            key=f"replay-change-{id}",
            icon=":material/difference:",
            disabled=running,
            on_click=_change,
            args=(making, prompts, others, user),
        )


def _result(replay: Replay) -> None:
    stage, text = st.empty(), st.empty()
    if replay.turn.active:
        live.watch(replay.turn, stage, text)
        st.rerun()
    failed = next((event for event in replay.turn.events if isinstance(event, Failed)), None)
    if failed is not None or replay.cited is None:
        stage.error(plain(failed.message if failed else "The replay gave no answer."), icon=":material/error:")
        return
    if replay.same_text:
        stage.success(f"The same text, word for word.{_prompt_words(replay)}", icon=":material/check_circle:")
        if replay.change.nothing:
            return
    else:
        stage.warning(f"The text is another one.{_prompt_words(replay)}", icon=":material/difference:")
    before, after = st.columns(2, border=True)
    with before:
        st.markdown("**Then**")
        st.markdown(answer(replay.making.answer), anchors=False)
    with after:
        st.markdown(f"**Now, {plain(_changes(replay.change))}**")
        st.markdown(answer(replay.cited.text), anchors=False)
    if not replay.same_text:
        st.markdown("**What differs**")
        st.markdown(difference.markdown(replay.making.answer, replay.cited.text))
        st.caption(difference.LEGEND)


def _prompt_words(replay: Replay) -> str:
    same = replay.same_prompt
    if same is None or not replay.change.nothing:
        return ""
    return " The prompt was the same, sign for sign." if same else " The prompt was not the same."


def _changes(change: Change) -> str:
    said = [
        f"prompt version {change.prompt}" if change.prompt else "",
        change.model or "",
        count(change.passages, "passage") if change.passages is not None else "",
        f"temperature {change.temperature:g}" if change.temperature is not None else "",
    ]
    return ", ".join(part for part in said if part) or "unchanged"


@attempt
def _change(making: Making, prompts: dict[str, int], models: dict[str, str], user: User) -> None:
    id, origin = making.message_id, making.attribution
    assert origin is not None
    number, temperature = state.value(f"replay-passages-{id}"), state.value(f"replay-temperature-{id}")
    then = float(origin.sampling.get("temperature") or 0.0)
    change = Change(
        prompt=prompts.get(state.value(f"replay-prompt-{id}")) or None,
        model=models.get(state.value(f"replay-model-{id}")) or None,
        passages=int(number) if number is not None and int(number) != len(making.passages) else None,
        temperature=float(temperature) if temperature is not None and float(temperature) != then else None,
    )
    state.chat().replay = state.services().replays.start(id, change, owner_id=user.id)
    state.chat().expanded = id


@attempt
def _replay(message_id: int, change: Change, user: User) -> None:
    state.chat().replay = state.services().replays.start(message_id, change, owner_id=user.id)
