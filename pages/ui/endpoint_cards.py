"""Other model services: what is known of each, where text goes with it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.models.endpoint import Endpoint, KeyKind
from core.models.trials import Trial
from pages.ui import endpoint_form, state
from pages.ui.figures import duration
from pages.ui.frame import attempt, errors, say
from pages.ui.markdown import plain, words

TICK_SECONDS = 0.5
LEAD = (
    "Instead of a model on this machine, a service that speaks the OpenAI protocol can write the answers: another "
    "program here, a server in your network, or one on the internet. Your documents are still searched here."
)
EMPTY = "There is none. Nothing is sent anywhere until you add one and choose to use it."
KEYS = {KeyKind.none: "no key", KeyKind.stored: "key stored, encrypted"}


def section(endpoints: Sequence[Endpoint], active: Endpoint | None) -> None:
    """All services, the one that answers first."""
    st.subheader("Other model services", anchor=False)
    st.caption(LEAD)
    if not endpoints:
        st.markdown(EMPTY)
    active_id = active.id if active else ""
    for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.id != active_id):
        _card(endpoint, active=endpoint.id == active_id)
    st.button("Add a service", key="endpoint-add", icon=":material/add:", on_click=endpoint_form.open_new)


def _card(endpoint: Endpoint, *, active: bool) -> None:
    with st.container(border=True, key=f"endpoint-{endpoint.id}"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.markdown(f"**{plain(endpoint.name)}**", width="content")
            if active:
                st.badge("In use", icon=":material/check_circle:", color="green")
        st.caption(" · ".join(_facts(endpoint)))
        st.caption(words(endpoint.destination if active else f"If you use it: {_small(endpoint.destination)}"))
        _actions(endpoint, active=active)
        if trial := state.services().endpoints.trials.last(endpoint.id):
            _result(trial, endpoint)


def _facts(endpoint: Endpoint) -> list[str]:
    key = KEYS.get(endpoint.key_kind, f"key from {endpoint.key_variable}")
    return [plain(endpoint.model), words(endpoint.host), f"reads {endpoint.context_tokens:,} tokens", words(key)]


def _actions(endpoint: Endpoint, *, active: bool) -> None:
    with st.container(horizontal=True):
        if active:
            st.button(
                "Use the model of this machine",
                key=f"endpoint-leave-{endpoint.id}",
                icon=":material/computer:",
                on_click=_leave,
            )
        else:
            st.button(
                "Use this service",
                key=f"endpoint-use-{endpoint.id}",
                icon=":material/swap_horiz:",
                on_click=_use,
                args=(endpoint,),
            )
        trial = state.services().endpoints.trials.last(endpoint.id)
        st.button(
            "Test",
            key=f"endpoint-test-{endpoint.id}",
            icon=":material/network_check:",
            help="Ask it for one word. Nothing of yours is sent.",
            disabled=trial is not None and trial.active,
            on_click=_test,
            args=(endpoint,),
        )
        st.button(
            "Change",
            key=f"endpoint-change-{endpoint.id}",
            icon=":material/edit:",
            on_click=endpoint_form.open_for,
            args=(endpoint,),
        )
        st.button(
            "Remove",
            key=f"endpoint-remove-{endpoint.id}",
            icon=":material/delete:",
            on_click=_ask,
            args=(endpoint.id,),
        )


def _result(trial: Trial, endpoint: Endpoint) -> None:
    if trial.active:
        st.fragment(_follow, run_every=TICK_SECONDS)(trial, endpoint)
    elif trial.answered:
        st.success(plain(trial.sentence), icon=":material/check_circle:")
    else:
        st.warning(plain(trial.sentence), icon=":material/warning:")


def _follow(trial: Trial, endpoint: Endpoint) -> None:
    with errors():
        if not trial.active:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":shimmer[Asking {words(endpoint.host)} since {duration(trial.seconds())}]", width="content")
            st.button("Stop", key=f"endpoint-stop-{endpoint.id}", type="tertiary", on_click=trial.cancel.set)


def draw_open(endpoints: Sequence[Endpoint], active: Endpoint | None) -> None:
    """The form, or the question before a service is removed."""
    found = next((endpoint for endpoint in endpoints if endpoint.id == state.models().forgetting), None)
    if found is not None:
        st.dialog("Remove this service?", on_dismiss=_close)(_confirm)(found, active)
        return
    endpoint_form.draw_open(endpoints)


def _confirm(endpoint: Endpoint, active: Endpoint | None) -> None:
    with errors():
        st.markdown(f"Groundwork forgets **{plain(endpoint.name)}**" + (" and its key." if _keyed(endpoint) else "."))
        if active is not None and active.id == endpoint.id:
            st.markdown("From then on the model of this machine answers again.")
        with st.container(horizontal=True):
            st.button("Remove", key="endpoint-removed", type="primary", on_click=_remove, args=(endpoint,))
            st.button("Keep it", key="endpoint-kept", on_click=_close_now)


def _keyed(endpoint: Endpoint) -> bool:
    return endpoint.key_kind is KeyKind.stored


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _ask(endpoint_id: str) -> None:
    state.models().forgetting = endpoint_id


def _close() -> None:
    state.models().forgetting = None


def _close_now() -> None:
    _close()
    st.rerun()


@attempt
def _use(endpoint: Endpoint) -> None:
    state.services().endpoints.activate(endpoint.id)
    state.services().health.look_again()
    say(endpoint.destination)


@attempt
def _leave() -> None:
    state.services().endpoints.deactivate()
    state.services().health.look_again()
    say("The model of this machine answers again.")


@attempt
def _test(endpoint: Endpoint) -> None:
    state.services().endpoints.trials.start(endpoint.id)


@attempt
def _remove(endpoint: Endpoint) -> None:
    _close()
    state.services().endpoints.remove(endpoint.id)
    state.services().health.look_again()
    say(f"{endpoint.name} was removed.")
    st.rerun()
