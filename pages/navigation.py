"""The router: which pages there are, and what stands beside each of them."""

from pathlib import Path

import streamlit as st

from pages.ui import conversations, frame, jobs, state, status

LOGO = str(Path(__file__).parent / "ui" / "logo.svg")

st.set_page_config(page_title="Groundwork", page_icon="📚", layout="wide", initial_sidebar_state="auto")
user = frame.require()
st.logo(LOGO, size="large")
chat = st.Page(
    "chat.py",
    title="Chat",
    icon=":material/forum:",
    url_path="chat",
    default=True,
    help="Ask questions about your documents and check the answers against their sources.",
)
documents = st.Page(
    "documents.py",
    title="Documents",
    icon=":material/description:",
    url_path="documents",
    help="Add documents, see what was read from them, and sort them into collections.",
)
prompts = st.Page(
    "prompts.py",
    title="Prompts",
    icon=":material/edit_note:",
    url_path="prompts",
    help="Change what the model is told: edit, compare, try, publish, go back.",
)
feedback = st.Page(
    "feedback.py",
    title="Feedback",
    icon=":material/thumbs_up_down:",
    url_path="feedback",
    help="Read the ratings of answers and mark those that were dealt with.",
)
evaluation = st.Page(
    "evaluation.py",
    title="Evaluation",
    icon=":material/speed:",
    url_path="evaluation",
    help="Measure search and answers on questions with known answers, and see what broke.",
)
models = st.Page(
    "models.py",
    title="Models",
    icon=":material/deployed_code:",
    url_path="models",
    help="Download models and choose the one that answers.",
)
current = st.navigation([chat, documents, prompts, feedback, evaluation, models])
if destination := state.take_destination():
    st.switch_page(destination)
with st.sidebar, frame.errors():
    with frame.slot():
        if current not in (chat, models):  # there it stands in the middle of the page
            status.model()
    with frame.slot():
        if current != documents:
            jobs.strip(user)
    with frame.slot():
        if current == chat:
            conversations.sidebar(user)
    if current != chat:  # there it stands beside the question
        st.caption(frame.NOTICE)
current.run()
