"""What every index over the chunks must do, whatever it looks for."""

from __future__ import annotations

from collections.abc import Callable

from core.services import Services
from core.types import Scope

Search = Callable[[str, Scope, int], list[tuple[int, float]]]
Add = Callable[..., str]
ME = Scope("local")


class IndexContract:
    """Inherit and give a fixture `search`: query, scope and k to (chunk id, score), best first."""

    def texts(self, live: Services, found: list[tuple[int, float]]) -> list[str]:
        chunks = live.chunks.load([id for id, _ in found], ME)
        return [chunks[id].text for id, _ in found if id in chunks]

    def test_the_best_comes_first(self, live: Services, add_text: Add, search: Search) -> None:
        add_text("A dam of stone.\n\nThe stone dam in the high valley.\n\nEspresso with milk.")
        found = search("the stone dam in the high valley", ME, 3)
        assert self.texts(live, found)[0] == "The stone dam in the high valley."
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)

    def test_no_more_than_asked_for(self, live: Services, add_text: Add, search: Search) -> None:
        add_text("\n\n".join(f"The dam number {n}." for n in range(9)))
        assert len(search("the dam", ME, 4)) == 4

    def test_an_empty_index_finds_nothing(self, live: Services, search: Search) -> None:
        assert search("the dam", ME, 5) == []

    def test_the_scope_decides_what_is_seen(self, live: Services, add_text: Add, search: Search) -> None:
        first = add_text("The dam is high.", name="a.md")
        add_text("The dam is low.", name="b.md")
        assert self.texts(live, search("the dam", Scope("local", document_ids=(first,)), 5)) == ["The dam is high."]
        assert search("the dam", Scope("somebody else"), 5) == []

    def test_a_new_document_is_found_and_a_deleted_one_is_not(
        self, live: Services, add_text: Add, search: Search
    ) -> None:
        first = add_text("The dam is high.", name="a.md")
        assert len(search("the dam", ME, 5)) == 1
        add_text("The dam is low.", name="b.md")
        assert len(search("the dam", ME, 5)) == 2
        live.documents.delete(first, owner_id="local")
        assert self.texts(live, search("the dam", ME, 5)) == ["The dam is low."]
