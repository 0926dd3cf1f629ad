"""How jobs are told to people: what is being done and how far it is, and one line of it beside every page."""

from __future__ import annotations

import streamlit as st

from core.jobs import EMBED, Job
from core.types import JobStatus, User
from pages.ui import state
from pages.ui.figures import count
from pages.ui.frame import errors

JOB_SECONDS = 1.0
STAGES = {
    "reading": "Reading the file",
    "splitting": "Splitting it into chunks",
    "storing": "Storing the text",
    "recognising": "Recognising text in pictures",
    "embedding": "Making vectors",
}


def strip(user: User) -> None:
    """One line in the sidebar for all jobs; without any, no timer runs in the browser."""
    if state.services().jobs.count_active(owner_id=user.id):
        st.fragment(_strip, run_every=JOB_SECONDS)(user)


def words(job: Job) -> str:
    """What is being done with the document, with numbers where there are any."""
    if job.status == JobStatus.paused:
        return "Paused"
    if job.status == JobStatus.queued:
        return "Waiting for its vectors" if job.lane == EMBED else "Waiting for its turn"
    said = STAGES.get(job.stage, job.stage[:1].upper() + job.stage[1:] if job.stage else "Starting")
    return f"{said}: {job.done:,} of {job.total:,}" if job.total > 1 and job.done else said


def share(job: Job) -> float:
    """How much of the stage is done, from 0 to 1."""
    return min(1.0, job.done / job.total) if job.total else 0.0


def _strip(user: User) -> None:
    with errors():
        services = state.services()
        number = services.jobs.count_active(owner_id=user.id)
        if not number:
            st.rerun()
        running = services.jobs.list_jobs(owner_id=user.id, statuses=(JobStatus.running,), limit=1)
        st.progress(share(running[0]) if running else 0.0, text=f"Reading {count(number, 'document')}")
