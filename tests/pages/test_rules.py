"""Rules that every page keeps, read from the source text and counted while it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from core.services import Services
from core.settings import ROOT
from tests.pages.conftest import Ask, Open, conversation_of, fine

SOURCES = sorted((ROOT / "pages").rglob("*.py"))
STATE = ROOT / "pages" / "ui" / "state.py"
PAGES = [path.name for path in sorted((ROOT / "pages").glob("*.py")) if path.name != "navigation.py"]


def attributes(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"


def test_one_module_alone_uses_the_state_of_the_session_and_the_services() -> None:
    own = {"st.session_state", "st.query_params", "composition.get"}
    found = [(path.name, line, name) for path in SOURCES for line, name in attributes(path) if name in own]
    assert {name for name, _, _ in found} == {STATE.name}
    imports = [path.name for path in SOURCES if "import services" in path.read_text(encoding="utf-8")]
    assert imports == [STATE.name]


def test_no_page_sends_html_of_its_own() -> None:
    forbidden = {"st.html", "st.iframe", "st.components", "st.write"}
    assert not [(path.name, line) for path in SOURCES for line, name in attributes(path) if name in forbidden]
    assert not [path.name for path in SOURCES if "unsafe_allow" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent.name == "pages"], ids=lambda path: path.name)
def test_every_page_is_guarded_and_has_the_error_box(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "frame.page(" in text or ("frame.require()" in text and "frame.errors()" in text)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_runs_on_an_empty_and_on_a_filled_installation(
    visit: Open, live: Services, ask: Ask, name: str
) -> None:
    fine(visit(name))
    answered = ask()[1]
    live.feedback.rate(answered.id, user_id="local", thumb=0)
    live.prompts.save("answer", "[user]\n{{passages}} {{question}}", author_id="local", reason="x")
    fine(visit(name))


@pytest.mark.parametrize("name", PAGES)
def test_an_unexpected_error_shows_a_mark_and_no_trace(
    visit: Open, live: Services, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    live.db.close()
    live.settings.database.unlink()
    live.settings.database.mkdir()  # nothing can be read any more
    at = visit(name)
    assert at.error
    shown = " ".join(str(error.value) for error in at.error)
    assert "Traceback" not in shown
    assert "sqlite" not in shown.lower()


def test_a_longer_conversation_costs_no_more_queries(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    conversation = conversation_of(live)
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    def queries() -> int:
        at = visit(c=conversation)
        statements.clear()
        at.run()
        return len(statements)

    event.listen(live.db.engine, "before_cursor_execute", note)
    short = queries()
    for number in range(9):
        ask(f"How long is warranty number {number}?", conversation)
    assert queries() == short
