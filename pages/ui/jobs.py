"""How jobs are told to people: what is being done, how far it is, how long it will take."""

from __future__ import annotations

import time

import streamlit as st

from core.jobs import Job
from core.types import JobStatus, User
from pages.ui import state
from pages.ui.figures import count, duration
from pages.ui.frame import attempt, errors
from pages.ui.markdown import plain

JOB_SECONDS = 1.0
SHOWN = 5  # waiting documents that are named
STAGES = {
    "reading": "Reading the file",
    "splitting": "Splitting it into chunks",
    "storing": "Storing the text",
    "embedding": "Making vectors",
}


def strip(user: User) -> None:
    """One line in the sidebar for all jobs; without any, no timer runs in the browser."""
    if active_jobs(user):
        st.fragment(_strip, run_every=JOB_SECONDS)(user)


def progress(user: User) -> None:
    """A bar for each job on the documents page; every job that ends redraws the page."""
    if active_jobs(user):
        st.fragment(_progress, run_every=JOB_SECONDS)(user)


def active_jobs(user: User) -> list[Job]:
    """Those that run or wait, the running ones first and then in the order of their turn."""
    jobs = state.services().jobs.list_jobs(owner_id=user.id, active=True, limit=1000)
    return sorted(jobs, key=lambda job: (job.status != JobStatus.running, job.created_at))


def words(job: Job) -> str:
    """What is being done with the document, with numbers where there are any."""
    if job.status == JobStatus.queued:
        return "Waiting for its turn"
    said = STAGES.get(job.stage, job.stage[:1].upper() + job.stage[1:] if job.stage else "Starting")
    return f"{said}: {job.done:,} of {job.total:,}" if job.total > 1 and job.done else said


def seconds_left(job: Job) -> float | None:
    """From what was done since this page first saw the job's stage; None while that says nothing."""
    pace, now = state.documents().pace, time.monotonic()
    stage, began, done = pace.setdefault(job.id, (job.stage, now, job.done))
    if stage != job.stage:
        pace[job.id] = (job.stage, now, job.done)
        return None
    if job.done <= done or not job.total or now == began:
        return None
    return (now - began) / (job.done - done) * (job.total - job.done)


def _strip(user: User) -> None:
    with errors():
        jobs = active_jobs(user)
        if not jobs:
            st.rerun()
        st.progress(_share(jobs[0]), text=f"Reading {count(len(jobs), 'document')}")


def _progress(user: User) -> None:
    with errors():
        jobs, remembered = active_jobs(user), state.documents()
        ids = frozenset(job.id for job in jobs)
        if not jobs or remembered.active - ids:
            remembered.active = ids
            st.rerun()
        remembered.active = ids
        with st.container(border=True, key="progress"):
            st.markdown(f"**Reading {count(len(jobs), 'document')}**")
            for job in jobs:
                if job.status == JobStatus.running:
                    _bar(job, user)
            if waiting := [job for job in jobs if job.status == JobStatus.queued]:
                st.caption(f"Waiting for their turn: {_names(waiting)}")


def _names(jobs: list[Job]) -> str:
    named = ", ".join(plain(job.document_name) for job in jobs[:SHOWN])
    return f"{named} and {len(jobs) - SHOWN:,} more" if len(jobs) > SHOWN else named


def _bar(job: Job, user: User) -> None:
    left = seconds_left(job)
    text = f"{plain(job.document_name)} · {words(job)}"
    if left is not None and left >= 1:
        text += f" · about {duration(left)} left"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(_share(job), text=text)
        st.button(
            "Cancel",
            key=f"cancel-{job.id}",
            help="Stop reading this document",
            on_click=attempt(state.services().jobs.cancel),
            args=(job.id,),
            kwargs={"owner_id": user.id},
        )


def _share(job: Job) -> float:
    return min(1.0, job.done / job.total) if job.total else 0.0
