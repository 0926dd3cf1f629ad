"""What is around every page: who is asking, the title, and the box that shows what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec
from uuid import uuid4

import streamlit as st

from core.errors import GroundworkError
from core.types import User
from pages.ui import state
from pages.ui.markdown import plain

log = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")

UNEXPECTED = "Something went wrong inside Groundwork. The log names it {}. Nothing was lost; try again."
NOTICE = "Answers come from an AI and may be wrong. Check the sources."


def require() -> User:
    """Who is asking. The first call of every page and of the router: a page never trusts that the router ran."""
    return state.services().accounts.who()


@contextmanager
def page(title: str = "", lead: str = "") -> Iterator[User]:
    """Draw the title and what earlier actions had to say, then the page, then what went wrong in it."""
    user = require()
    if title:
        st.title(title, anchor=False)
    if lead:
        st.caption(lead)
    with slot():
        _tell()
    with errors():
        yield user


@contextmanager
def slot() -> Iterator[None]:
    """A place for parts that come and go. While a script runs on, Streamlit would go on showing what stood there."""
    with st.empty().container():
        yield


@contextmanager
def errors() -> Iterator[None]:
    """Show errors as sentences. Streamlit's own ways to end a run are no exceptions and pass through."""
    try:
        yield
    except GroundworkError as problem:
        st.error(plain(str(problem)), icon=":material/error:")
    except Exception:  # the edge of a page: the log has the rest
        mark = uuid4().hex[:8]
        log.exception("a page failed [%s]", mark)
        st.error(UNEXPECTED.format(mark), icon=":material/error:")


def attempt(action: Callable[Arguments, object]) -> Callable[Arguments, None]:
    """For callbacks, which run before the page: keep what went wrong until the page can show it."""

    @wraps(action)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            action(*args, **kwargs)
        except GroundworkError as problem:
            state.app().problems.append(str(problem))
        except Exception:  # the edge of a page: the log has the rest
            mark = uuid4().hex[:8]
            log.exception("an action failed [%s]", mark)
            state.app().problems.append(UNEXPECTED.format(mark))

    return guarded


def say(sentence: str) -> None:
    """Show a short notice at the next run, or now when the page is being drawn."""
    state.app().notices.append(sentence)


def _tell() -> None:
    told = state.app()
    for problem in told.problems:
        st.error(plain(problem), icon=":material/error:")
    for notice in told.notices:
        st.toast(plain(notice))
    told.problems, told.notices = [], []
