"""Web pages and folders on the documents page."""

from __future__ import annotations

from pathlib import Path

from core.services import Services
from core.sources.types import SourceState
from core.storage.tables import SourceItemRow, SourceRow
from tests.pages.conftest import ME, Open, fine, said

PAGE = "documents.py"


def only(live: Services) -> str:
    (source,) = live.sources.list_sources(owner_id=ME)
    return source.id


def test_a_site_is_added_with_its_depth_path_and_collection(visit: Open, live: Services) -> None:
    live.documents.collection("Web", owner_id=ME)
    at = visit(PAGE)
    at.button(key="add-source").click().run()
    at.text_input(key="source-address").set_value("example.org/docs/").run()
    at.number_input(key="source-depth").set_value(2).run()
    at.text_input(key="source-within").set_value("/docs").run()
    at.selectbox(key="source-every").set_value("Every day").run()
    at.selectbox(key="source-collection").set_value("Web").run()
    at.button(key="source-save").click().run()
    fine(at)
    (source,) = live.sources.list_sources(owner_id=ME)
    assert (source.address, source.depth, source.within) == ("https://example.org/docs/", 2, "/docs")
    assert (source.interval_minutes, source.collection, source.state) == (1440, "Web", SourceState.waiting)
    assert "Waiting" in said(at)


def test_a_folder_is_added_and_followed(visit: Open, live: Services, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    at = visit(PAGE)
    at.button(key="add-source").click().run()
    at.segmented_control(key="source-kind").set_value("Folder of this machine").run()
    at.text_input(key="source-folder").set_value(str(folder)).run()
    at.button(key="source-save").click().run()
    fine(at)
    assert live.sources.list_sources(owner_id=ME)[0].address == str(folder)


def test_a_refused_address_is_told_in_the_dialog_and_can_be_put_right(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    at.button(key="add-source").click().run()
    at.text_input(key="source-address").set_value("http://192.168.1.1/").run()
    at.button(key="source-save").click().run()
    assert "GROUNDWORK_FETCH_PRIVATE" in at.error[0].value.replace("\\", "")
    at.text_input(key="source-address").set_value("https://example.org/").run()
    at.button(key="source-save").click().run()
    fine(at)
    assert only(live)


def test_what_is_wrong_with_pages_is_shown_as_text(visit: Open, live: Services) -> None:
    source = live.sources.add_site("https://example.org/", owner_id=ME)
    with live.db.write() as session:
        row = session.get_one(SourceRow, source.id)
        row.wanted, row.error = False, "example.org does not answer. ![x](http://evil.example/x.png)"
        session.add(
            SourceItemRow(source_id=source.id, address="https://example.org/<b>", state="refused", error="**no**")
        )
    at = visit(PAGE)
    assert "Look at this" in said(at)
    assert "1 not taken" in said(at)
    at.button(key=f"source-open-{source.id}").click().run()
    fine(at)
    shown = "\n".join(str(element.value) for element in [*at.markdown, *at.warning])
    assert "![x](" not in shown
    assert "\\*\\*no\\*\\*" in shown


def test_looks_can_be_paused_resumed_asked_for_and_stopped(visit: Open, live: Services) -> None:
    source = live.sources.add_site("https://example.org/", owner_id=ME)
    at = visit(PAGE)
    at.button(key=f"source-open-{source.id}").click().run()
    at.button(key=f"source-pause-{source.id}").click().run()
    assert live.sources.get(source.id, owner_id=ME).state == SourceState.paused
    at = visit(PAGE)
    at.button(key=f"source-resume-{source.id}").click().run()
    at.button(key=f"source-look-{source.id}").click().run()
    with live.db.write() as session:
        session.get_one(SourceRow, source.id).looking = True
    at.run()
    at.button(key=f"source-cancel-{source.id}").click().run()
    fine(at)
    assert live.sources.get(source.id, owner_id=ME).state == SourceState.done


def test_a_source_is_removed_and_it_is_said_what_becomes_of_its_documents(visit: Open, live: Services) -> None:
    source = live.sources.add_site("https://example.org/", owner_id=ME)
    at = visit(PAGE)
    at.button(key=f"source-open-{source.id}").click().run()
    at.button(key="source-remove-True").click().run()
    fine(at)
    assert live.sources.list_sources(owner_id=ME) == []
    assert "Its documents go now" in at.toast[0].value
