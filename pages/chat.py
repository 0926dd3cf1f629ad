"""Chat: ask, follow the answer, open what it rests on, rate it, ask differently."""

import streamlit as st

from core.chat.conversations import ConversationInfo, MessageView
from core.errors import NotFound
from core.types import User
from pages.ui import asking, citations, conversations, frame, live, message, state, status, welcome


def draw(user: User) -> None:
    services, conversation_id, chat = state.services(), state.conversation(), state.chat()
    state.take_source()
    running = services.turns.active(conversation_id or "")  # before the thread: a turn stores its end, then ends
    info, thread = find(conversation_id, user)
    turn = running if info else None
    asking.field(info, user, busy=turn is not None)
    conversations.dialogs(user)
    state.write_address()
    with frame.slot():
        status.model()
    if not thread:
        with st.container(key="welcome"):
            welcome.draw(user)
    if len(thread) > chat.shown:
        st.button("Show earlier messages", key="earlier", type="tertiary", on_click=message.show_earlier)
    shown = thread[-chat.shown :]
    questions = {entry.id: entry.content for entry in thread if entry.role == "user"}
    for entry in shown:
        if turn is None or entry.id != turn.message_id:
            message.draw(entry, user, busy=turn is not None, asked=questions.get(entry.parent_id or 0, ""))
    citations.draw_open(thread, user)  # last: drawing a page takes a moment, and the messages need not wait for it
    if turn is not None:
        live.follow(turn, below=chat.drawn - len(shown))
    chat.drawn = len(shown)


def find(conversation_id: str | None, user: User) -> tuple[ConversationInfo | None, list[MessageView]]:
    """The open conversation; one that is gone is said to be gone, and the page is a new one."""
    if conversation_id is None:
        return None, []
    try:
        return state.services().conversations.open(conversation_id, owner_id=user.id)
    except NotFound:
        state.open_conversation(None)
        raise


with frame.page() as user:
    draw(user)
