"""Beginning a measurement: which questions, of which documents, how many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.documents import Collection
from core.errors import BadDataset
from core.evaluation.dataset import Dataset, load_dataset
from core.evaluation.measuring import begin
from core.evaluation.run import ANSWERS, RETRIEVAL, Spec
from core.evaluation.uploads import dataset_of
from core.types import Scope, User
from pages.ui import state
from pages.ui.frame import attempt

KINDS = {ANSWERS: "Answers", RETRIEVAL: "Search"}
UPLOAD, FOLDER = "A file", "A folder on this machine"
ALL, THEIRS = "All my documents", "The texts in the dataset"
KIND, SOURCE, FILE, PATH, HOME, LIMIT, SEED, PLAIN, WHY = (
    f"evaluation-{name}" for name in ("kind", "source", "file", "path", "home", "limit", "seed", "plain", "why")
)
EXAMPLE = """{"_id": "1", "text": "How long is the warranty?", "answers": ["24 months"]}
{"_id": "2", "text": "Who painted the ship?", "answerable": false}"""


def draw(user: User) -> None:
    """The form. It stays as it is filled in while a measurement goes on."""
    services = state.services()
    running = services.evaluations.live is not None and services.evaluations.live.active
    what, count, seed = st.columns([2, 1, 1])
    kind = what.segmented_control(
        "What to measure", list(KINDS), default=ANSWERS, key=KIND, format_func=KINDS.get, required=True
    )
    count.number_input(
        "Questions", min_value=1, max_value=100_000, value=50, key=LIMIT,
        help="So many are chosen, the same ones every time. An answer takes some seconds.",
    )  # fmt: skip
    seed.number_input(
        "Seed", min_value=0, max_value=1_000_000, value=7, key=SEED, help="Another seed, other questions."
    )
    source = st.segmented_control("Questions from", [UPLOAD, FOLDER], default=UPLOAD, key=SOURCE, required=True)
    if source == FOLDER:
        st.text_input("Folder in BEIR's layout", key=PATH, placeholder="/home/me/datasets/manuals")
    else:
        st.file_uploader("A queries.jsonl, or a zip of a dataset", type=["jsonl", "zip"], key=FILE)
    _explained()
    st.selectbox(
        "Ask",
        [*_homes(services.documents.list_collections(owner_id=user.id)), THEIRS],
        key=HOME,
        help="The texts of a dataset are taken in apart from your documents, and kept for the next time.",
    )
    if kind == ANSWERS:
        st.checkbox("Name the cause of each wrong answer", value=True, key=WHY)
        st.checkbox(
            "Also ask a plain pipeline, to compare", key=PLAIN,
            help="Keyword search's best three texts in a plain prompt: takes about twice as long.",
        )  # fmt: skip
    st.button(
        "Measure", key="evaluation-start", type="primary", icon=":material/speed:", disabled=running, on_click=_start,
        args=(user,),
    )  # fmt: skip


def _explained() -> None:
    with st.expander("How the questions are written"):
        st.caption(
            "One question in each line. `answers` are the ways to say the right one; `answerable: false` means that "
            "the documents do not hold it. A zip may hold `qrels.tsv` too, which names the texts that answer."
        )
        st.code(EXAMPLE, language="json")


def _homes(collections: Sequence[Collection]) -> list[str]:
    return [ALL, *(collection.name for collection in collections)]


@attempt
def _start(user: User) -> None:
    services = state.services()
    home = str(state.value(HOME) or ALL)
    dataset = _dataset(own=home != THEIRS)
    own = None
    if home != THEIRS:
        chosen = services.documents.find_collection(home, owner_id=user.id) if home != ALL else None
        own = Scope(user.id, chosen)
    spec = Spec(
        str(state.value(KIND) or ANSWERS), limit=_whole(LIMIT, 50), seed=_whole(SEED, 7),
        plain=bool(state.value(PLAIN)), why=bool(state.value(WHY)), own=own,
    )  # fmt: skip
    begin(services, dataset, spec)


def _dataset(*, own: bool) -> Dataset:
    if state.value(SOURCE) == FOLDER:
        path = str(state.value(PATH) or "").strip()
        if not path:
            raise BadDataset("Name the folder that holds the questions.")
        return load_dataset(Path(path).expanduser(), own=own)
    file: Any = state.value(FILE)
    if file is None:
        raise BadDataset("Choose the file that holds the questions.")
    return dataset_of(file.name, file.getvalue(), own=own)


def _whole(key: str, usual: int) -> int:
    value = state.value(key)
    return int(value) if value is not None else usual
