"""A batch as a card: how far it is, what became of its files, which are not in and why, and how to steer it."""

from __future__ import annotations

import streamlit as st

from core.batches import Batch, Failure
from core.types import User
from pages.ui import state
from pages.ui.figures import count, duration, moment
from pages.ui.frame import attempt
from pages.ui.markdown import plain, words

FEW = 5  # files that are not in: they are named at once
PAGE = 25
MOST = 10_000


def card(batch: Batch, user: User) -> None:
    with st.container(border=True, key=f"batch-{batch.id}", gap="small"):
        st.markdown(f"**{_title(batch)}** :small[:gray[added {moment(batch.created_at)}]]")
        if batch.left:
            st.progress((batch.total - batch.left) / max(1, batch.total), text=_progress(batch))
        st.markdown(" ".join(_counts(batch)))
        _failures(batch, user)
        with st.container(horizontal=True, gap="small"):
            _buttons(batch, user)


def _title(batch: Batch) -> str:
    files = count(batch.total, "file")
    if batch.status == "running":
        return f"Taking in {files}"
    if batch.status == "paused":
        return f"Paused: {files}"
    if batch.status == "cancelled":
        return f"Cancelled: {files}"
    missing = batch.failed + batch.refused
    if not missing:
        return f"Finished: all of the {files} are here" if batch.total > 1 else "Finished: 1 file is here"
    return f"Finished: {batch.total - missing - batch.cancelled:,} of {files} are here"


def _progress(batch: Batch) -> str:
    said = f"{batch.total - batch.left:,} of {batch.total:,} done"
    if batch.status == "paused":
        return said
    if batch.seconds_left is None:
        return f"{said} · the time left is not known yet"
    return f"{said} · about {duration(max(1.0, batch.seconds_left))} left"


def _counts(batch: Batch) -> list[str]:
    waiting = batch.left - batch.searchable - batch.to_come
    shown = (
        (batch.done, "green", "check", "ready"),
        (batch.searchable, "blue", "search", "found by words already"),
        (waiting, "gray", "schedule", "waiting or being read"),
        (batch.to_come, "gray", "upload", "still arriving"),
        (batch.failed, "red", "error", "failed"),
        (batch.refused, "orange", "block", "refused"),
        (batch.known, "gray", "content_copy", "here already"),
        (batch.cancelled, "gray", "cancel", "cancelled"),
    )
    return [f":{color}-badge[:material/{icon}: {number:,} {word}]" for number, color, icon, word in shown if number]


def _failures(batch: Batch, user: User) -> None:
    """The files that are not in, each with its sentence: a few at once, many when they are asked for."""
    number = batch.failed + batch.refused
    if not number:
        return
    many = number > FEW
    if many and not st.toggle(f"Show the {number:,} files that are not in", key=f"failures-{batch.id}"):
        return
    found = state.services().batches.failures(batch.id, owner_id=user.id, limit=MOST if many else FEW)
    pages = -(-len(found) // PAGE)
    at = st.pagination(pages, key=f"failures-page-{batch.id}") if pages > 1 else 1
    part = found[(at - 1) * PAGE : at * PAGE]
    st.markdown("\n".join(f"- {_line(failure)}" for failure in part))
    if many:
        st.download_button(
            "Download the list",
            data=lambda: _as_text(found),
            file_name="not taken in.txt",
            mime="text/plain",
            key=f"failures-file-{batch.id}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )


def _line(failure: Failure) -> str:
    """The name in bold; sentences mostly begin with it, then it is not said twice."""
    name, sentence = failure.name, failure.sentence
    if name and sentence.startswith(name):
        return f"**{plain(name)}**{words(sentence[len(name) :])}"
    return f"**{plain(name)}**: {words(sentence)}" if name else plain(sentence)


def _as_text(found: list[Failure]) -> str:
    return "\n".join(f"{failure.name}\t{failure.sentence}" for failure in found) + "\n"


def _buttons(batch: Batch, user: User) -> None:
    batches = state.services().batches
    actions = []
    if batch.status == "running":
        actions.append(("Pause", "pause", "Let what is left rest; it goes on where it stopped", batches.pause))
    if batch.status == "paused":
        actions.append(("Resume", "play_arrow", "Go on where it stopped", batches.resume))
    if again := batch.failed + batch.cancelled:
        said = "Those that failed or were cancelled" if batch.cancelled else "Those that failed"
        actions.append((f"Try {count(again, 'file')} again", "refresh", said, batches.retry))
    if batch.left:
        actions.append(
            ("Cancel the rest", "cancel", "What is in stays in; the rest can be tried again", batches.cancel)
        )
    else:
        actions.append(("Dismiss", "close", "Put this away; the documents stay", batches.dismiss))
    for label, icon, said, action in actions:
        st.button(
            label,
            key=f"batch-{action.__name__}-{batch.id}",
            icon=f":material/{icon}:",
            help=said or None,
            on_click=attempt(action),
            args=(batch.id,),
            kwargs={"owner_id": user.id},
        )
