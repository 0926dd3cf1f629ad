"""The work that is under way: batches, documents in hand, and a change of the embedding model."""

from __future__ import annotations

import streamlit as st

from core.jobs import Job
from core.overview import Work
from core.types import JobStatus, User
from pages.ui import document_batch, jobs, state
from pages.ui.figures import count, duration
from pages.ui.frame import attempt, errors
from pages.ui.markdown import plain

LOOK_SECONDS = 1.0
NAMED = 5  # waiting documents that are named


def draw(user: User) -> None:
    """Cards for all of it. A timer runs only while something changes by itself."""
    work = state.services().overview.work(owner_id=user.id)
    state.documents().documents, state.documents().seen = work.documents, None
    if work.moves:
        st.fragment(_follow, run_every=LOOK_SECONDS)(user)
    else:
        _cards(work, user)


def _follow(user: User) -> None:
    with errors():
        work, remembered = state.services().overview.work(owner_id=user.id), state.documents()
        if not work.moves or work.documents != remembered.documents or _outdated(user):
            st.rerun()  # the list below is not up to date, or no timer is needed any more
        _cards(work, user)


def _outdated(user: User) -> bool:
    """Whether a document of the list has another state now, or is gone."""
    seen = state.documents().seen
    if seen is None:  # this is the first look, in the run that draws the list afterwards
        return False
    return state.services().overview.states(tuple(id for id, _ in seen), owner_id=user.id) != seen


def _cards(work: Work, user: User) -> None:
    for batch in work.batches:
        document_batch.card(batch, user)
    if work.running or work.alone:
        with st.container(border=True, key="progress", gap="small"):
            st.markdown(f"**{_title(work)}**")
            for job in work.running:
                _bar(job, user)
            if waiting := [job for job in work.alone if job.status == JobStatus.queued]:
                st.caption(f"Waiting for their turn: {_names(waiting)}")
            if resting := [job for job in work.alone if job.status == JobStatus.paused]:
                st.caption(f"Paused: {_names(resting)}")
    _rebuild(work, user)


def _title(work: Work) -> str:
    if not work.running and all(job.status == JobStatus.paused for job in work.alone):
        return f"{count(len(work.alone), 'document')} paused"
    return f"Reading {count(len(work.running) + len(work.alone), 'document')}"


def _names(waiting: list[Job]) -> str:
    named = ", ".join(plain(job.document_name) for job in waiting[:NAMED])
    return f"{named} and {len(waiting) - NAMED:,} more" if len(waiting) > NAMED else named


def _bar(job: Job, user: User) -> None:
    left = job.seconds_left
    text = f"{plain(job.document_name)} · {jobs.words(job)}"
    if left is not None and left >= 1:
        text += f" · about {duration(left)} left"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(jobs.share(job), text=text)
        steer(job, user, "")


def steer(job: Job, user: User, place: str) -> None:
    """Pause, resume and cancel, as far as they make sense; `place` tells the buttons of several places apart."""
    queue = state.services().jobs
    paused = job.status == JobStatus.paused
    first = ("resume", "Resume", "play_arrow", queue.resume) if paused else ("pause", "Pause", "pause", queue.pause)
    for name, label, icon, action in (first, ("cancel", "Cancel", "cancel", queue.cancel)):
        st.button(
            label,
            key=f"{place}{name}-{job.id}",
            icon=f":material/{icon}:",
            help=f"{label} reading {plain(job.document_name)}",
            on_click=attempt(action),
            args=(job.id,),
            kwargs={"owner_id": user.id},
        )


def _rebuild(work: Work, user: User) -> None:
    """Blue and green: what answers now, what is being built beside it, and the way back."""
    change = work.rebuild
    if not change.needed:
        return
    services, job = state.services(), change.job
    serving, wanted = plain(change.serving), plain(change.wanted)
    with st.container(border=True, key="rebuild", gap="small"):
        if job is None:
            st.markdown(f"**The index is of another embedding model.** {serving} answers; the settings name {wanted}.")
            begin = attempt(services.rebuilds.begin)
            st.button(f"Build the index of {wanted}", key="rebuild-begin", on_click=begin, kwargs={"owner_id": user.id})
            return
        st.markdown(f"**A second index is being built: {wanted}**")
        st.caption(f"Until it is complete, questions are answered with {serving}. Then it takes over in one step.")
        said = f"{job.done:,} of {count(job.total, 'document')}" if job.total else jobs.words(job)
        if job.seconds_left is not None and job.seconds_left >= 1:
            said += f" · about {duration(job.seconds_left)} left"
        paused = job.status == JobStatus.paused
        st.progress(jobs.share(job), text=f"Paused · {said}" if paused else said)
        with st.container(horizontal=True, gap="small"):
            step = services.jobs.resume if paused else services.jobs.pause
            label, icon = ("Resume", "play_arrow") if paused else ("Pause", "pause")
            st.button(
                label,
                key="rebuild-pause",
                icon=f":material/{icon}:",
                on_click=attempt(step),
                args=(job.id,),
                kwargs={"owner_id": user.id},
            )
            st.button(
                f"Cancel and stay with {serving}",
                key="rebuild-cancel",
                icon=":material/cancel:",
                on_click=attempt(services.rebuilds.cancel),
                kwargs={"owner_id": user.id},
            )
