"""A query through all stages: what decides, what each stage leaves behind, and what no stage may show."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from core.chat.reasons import stages
from core.errors import ModelMissing, ModelUnavailable
from core.retrieval import hops, reranking
from core.retrieval.about import about
from core.retrieval.beside import AT_ONCE, Asked
from core.retrieval.query import understand
from core.retrieval.reranking import Reranking
from core.retrieval.retriever import HybridRetriever
from core.retrieval.trust import trusted
from core.services import Services
from core.storage.tables import DocumentRow, UserRow
from core.types import Chunk, Document, Filters, Passage, Scope
from tests.small import SmallClient
from tests.statements import statements

Add = Callable[..., str]


@pytest.fixture
def retriever(live: Services) -> HybridRetriever:
    found = live.chain().retriever
    assert isinstance(found, HybridRetriever)
    return found


def add_titled(live: Services, title: str, text: str) -> str:
    """A document of one chunk under a title of its own, as the worker stores it before it has vectors."""
    added = live.documents.add(io.BytesIO(text.encode()), name=f"{title}.txt", owner_id="local")
    document = Document(title, "text/plain", text, language="en")
    live.chunks.save_text(added.document_id, document, [Chunk(0, 0, len(text), text)], {})
    return added.document_id


# --- what decides ---


def test_words_that_stand_together_come_before_scattered_ones(add_text: Add, retriever: HybridRetriever) -> None:
    filler = "and so they went on and on about all the other things of that time and place, "
    add_text(f"The king {filler} of the castle {filler} crown.\n\nOf {filler} {filler} the king lost his castle crown.")
    assert retriever.retrieve("king castle crown")[0].text.endswith("the king lost his castle crown.")


def test_what_is_in_quotes_comes_first_in_every_stage(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("Gold rush, gold, gold, gold of the rush.\n\nA rush of gold.\n\nThey spoke of fool's gold and silver.")
    assert retriever.retrieve("fool's gold or rush: “gold and silver”")[0].text.startswith("They spoke")


def test_a_part_of_an_identifier_is_not_that_identifier(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("Pump AB-1203 has two valves.\n\nPump AB-120 has one valve.\n\nPump CD-120 has no valve.")
    assert retriever.retrieve("How many valves has AB-120?")[0].text == "Pump AB-120 has one valve."


def test_what_the_best_passage_names_is_found_though_the_question_does_not_say_it(
    live: Services, retriever: HybridRetriever
) -> None:
    add_titled(live, "Ed Wood (film)", "Ed Wood is a film that Tim Burton directed.")
    add_titled(live, "Tim Burton", "He comes from Burbank in California.")
    for number in range(40):
        add_titled(live, f"City {number}", f"City number {number} was founded by a director of mines.")
    found = retriever.retrieve("Where does the director of the film Ed Wood come from?", k=3)
    linked = [passage for passage in found if passage.document_title == "Tim Burton"]
    assert linked
    assert "named by another passage" in linked[0].why


def test_a_common_heading_is_no_name(live: Services, add_text: Add) -> None:
    add_text("\n\n".join(f"Introduction to part {n}." for n in range(9)), name="Introduction.md")
    retriever = live.chain().retriever
    assert isinstance(retriever, HybridRetriever)
    assert all(dict(p.evidence).get("link", 0.0) == 0.0 for p in retriever.candidates("introduction part"))


def test_the_embedder_is_not_asked_in_a_language_that_it_does_not_know(
    add_text: Add, retriever: HybridRetriever, client: SmallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text("The dam is high.")
    add_text("Плотина высокая.", name="b.md")

    def never(texts: Sequence[str], *, priority: str, model: str = "") -> None:
        raise AssertionError(texts)

    monkeypatch.setattr(client, "embed", never)
    found = retriever.retrieve("Какая высота плотины?")
    assert [p.text for p in found] == ["Плотина высокая."]


def test_an_embedder_is_trusted_with_what_it_was_made_for() -> None:
    assert trusted("How high is the dam?", "all-minilm-l6-v2", ("de", "en"))
    assert not trusted("Wie hoch ist die Talsperre im Harz?", "all-minilm-l6-v2", ("de", "en"))
    assert trusted("Talsperre Harz", "all-minilm-l6-v2", ("en",))  # nothing else is there to be found
    assert trusted("Какая высота плотины?", "multilingual-e5-small", ("ru",))
    assert trusted("Какая высота плотины?", "a model that nobody knows", ("ru",))


def test_one_document_does_not_fill_the_context(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("\n\n".join(f"The dam number {n} is made of stone." for n in range(9)), name="many.md")
    other = add_text("The old dam is made of brick.", name="other.md")
    found = retriever.retrieve("What is the dam made of?", k=3)
    assert [p.document_id == other for p in found].count(True) == 1
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)


def test_a_document_that_alone_has_something_to_say_has_the_context(add_text: Add, retriever: HybridRetriever) -> None:
    document = add_text("\n\n".join(f"The dam number {n} is made of stone." for n in range(9)), name="many.md")
    add_text("Espresso with milk.", name="other.md")
    found = retriever.retrieve("What stone is the dam made of?", k=3)
    assert {p.document_id for p in found} == {document}


# --- what the stages leave behind ---


def test_every_stage_leaves_its_score(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("The warranty lasts 24 months.\n\nThe battery weighs 3 kg.")
    best, other = retriever.candidates("How long is the warranty?")
    assert best.keyword_score is not None
    assert best.fused_score is not None
    assert best.dense_score is not None
    assert {"words", "near", "meaning"} <= set(dict(best.evidence))
    assert best.why.startswith("The words of the question stand close together")
    assert other.keyword_score is None
    assert other.dense_score is not None  # compared though the dense search may not have brought it
    assert (best.rank, other.rank) == (1, 2)


def test_diagnosis_shows_more_than_an_answer_gets(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("\n\n".join(f"The dam number {n} holds water." for n in range(80)))
    assert len(retriever.retrieve("dam water")) == retriever.k
    shown = retriever.candidates("dam water")
    assert len(shown) == 80
    assert [p.score for p in shown] == sorted((p.score for p in shown), reverse=True)


def test_the_first_stage_can_be_asked_alone(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("The warranty lasts 24 months.")
    (found,) = retriever.model_copy(update={"second_stage": False}).retrieve("warranty")
    assert found.score == found.fused_score
    assert found.evidence == ()


# --- a reranker ---


class Backwards:
    """Prefers what the second stage has last."""

    def __init__(self) -> None:
        self.asked = 0

    def rerank(self, query: str, passages: Sequence[str]) -> tuple[str, list[float]]:
        self.asked += 1
        return "ms-marco-minilm-l6-v2", [float(place) for place in range(len(passages))]


def test_a_reranker_has_the_larger_say(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("The dam of stone is high.\n\nThe dam is low.")
    plain = retriever.retrieve("How high is the dam of stone?", k=2)
    asked = retriever.model_copy(update={"reranking": Reranking(Backwards())})
    assert [p.chunk_id for p in asked.retrieve("How high is the dam of stone?", k=2)] == [
        p.chunk_id for p in reversed(plain)
    ]
    assert all(p.rerank_score is not None for p in asked.retrieve("How high is the dam of stone?", k=2))


def test_a_reranker_is_not_asked_in_a_language_that_it_does_not_know(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("Плотина высокая.\n\nПлотина низкая.\n\nThe dam of stone is high.\n\nThe dam is low.")
    model = Backwards()
    asked = retriever.model_copy(update={"reranking": Reranking(model)})
    asked.retrieve("How high is the dam of stone?")
    before = model.asked
    assert all(p.rerank_score is None for p in asked.retrieve("Какая высота плотины?"))
    assert model.asked == before


def test_a_missing_reranker_is_not_asked_with_every_question(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("The dam is high.\n\nThe dam is low.")

    class Missing(Backwards):
        def rerank(self, query: str, passages: Sequence[str]) -> tuple[str, list[float]]:
            self.asked += 1
            raise ModelMissing("No reranker is installed.")

    model = Missing()
    asked = retriever.model_copy(update={"reranking": Reranking(model)})
    assert [p.text for p in asked.retrieve("dam high")] == [p.text for p in asked.retrieve("dam high")]
    assert model.asked == 1


# --- what no stage may show ---


def everything(retriever: HybridRetriever, query: str) -> list[Passage]:
    first = retriever.model_copy(update={"second_stage": False})
    reranked = retriever.model_copy(update={"reranking": Reranking(Backwards())})
    return [*first.candidates(query), *retriever.candidates(query), *reranked.candidates(query)]


def test_no_stage_shows_what_is_outside_the_scope(
    live: Services, add_text: Add, retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = add_text("Ed Wood is a film that Tim Burton directed.", name="film.md", collection="Films")
    add_text("Tim Burton comes from Burbank.", name="Tim Burton.md")
    add_titled(live, "Tim Burton", "Burton directed the film Ed Wood.")
    films = live.documents.collection("Films", owner_id="local")
    monkeypatch.setattr(hops, "MOST_FOUND", 1000)
    for scope in (Scope("local", collection_id=films), Scope("local", document_ids=(seen,))):
        found = everything(retriever.within(scope), "Who directed the film “Ed Wood”?")
        assert {p.document_id for p in found} == {seen}
    assert everything(retriever.within(Scope("somebody else")), "Who directed the film “Ed Wood”?") == []


def test_filters_come_before_the_ranking(live: Services, add_text: Add, retriever: HybridRetriever) -> None:
    for number in range(60):
        add_text(f"The dam, the dam, the dam {number}.", name=f"{number}.md")
    wanted = add_text("Once there was a dam in a place far away from here.", name="wanted.md")
    day = datetime(2020, 5, 1, tzinfo=UTC)
    with live.db.write() as session:
        changes = {"media_type": "application/pdf", "language": "sv", "written_at": day}
        session.execute(update(DocumentRow).where(DocumentRow.id == wanted).values(changes))
    live.library.set_tags(wanted, ["Water", "far away"], owner_id="local")
    for filters in (
        Filters(media_types=("application/pdf",)),
        Filters(languages=("sv", "no")),
        Filters(tags=("Water", "nowhere")),
        Filters(until=datetime(2020, 5, 2, tzinfo=UTC)),
        Filters(since=day, until=datetime(2020, 5, 2, tzinfo=UTC)),
    ):
        found = retriever.within(Scope("local", filters=filters)).candidates("the dam")
        assert {p.document_id for p in found} == {wanted}
        assert found[0].dense_score is not None
    nothing = Filters(languages=("sv",), media_types=("text/html",))
    assert retriever.within(Scope("local", filters=nothing)).candidates("dam") == []


@pytest.mark.parametrize("query", ["", " \n", "?! …", "\x00", "🙂"])
def test_a_query_without_words_finds_nothing(add_text: Add, retriever: HybridRetriever, query: str) -> None:
    add_text("The dam is high.")
    assert retriever.retrieve(query) == []


def test_a_hostile_query_is_answered_without_the_embedder_too(
    add_text: Add, retriever: HybridRetriever, client: SmallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text("The dam is high.")
    hostile = '"dam" NEAR(' * 9_000
    assert [p.text for p in retriever.retrieve(hostile)] == ["The dam is high."]

    def away(texts: Sequence[str], *, priority: str, model: str = "") -> None:
        raise ModelUnavailable("The model is still starting.")

    monkeypatch.setattr(client, "embed", away)
    assert [p.text for p in retriever.retrieve(hostile)] == ["The dam is high."]


# --- a model server that hangs ---


def test_a_model_that_hangs_does_not_stop_the_search_by_words(
    add_text: Add, retriever: HybridRetriever, client: SmallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text("The dam is high.")
    awake = threading.Event()

    def hanging(texts: Sequence[str], *, priority: str, model: str = "") -> None:
        assert awake.wait(30)
        raise ModelUnavailable("It was long away.")

    monkeypatch.setattr(client, "embed", hanging)
    monkeypatch.setattr(Asked.wait, "__defaults__", (0.01,))
    try:
        for _ in range(AT_ONCE + 3):  # more than there are threads for
            (found,) = retriever.retrieve("How high is the dam?")
            assert found.keyword_score is not None
            assert found.dense_score is None
    finally:
        awake.set()


def test_a_reranker_that_hangs_is_left_out_and_not_asked_again(
    add_text: Add, retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text("The dam is high.\n\nThe dam is low.")
    awake = threading.Event()

    class Hanging(Backwards):
        def rerank(self, query: str, passages: Sequence[str]) -> tuple[str, list[float]]:
            self.asked += 1
            assert awake.wait(30)
            return super().rerank(query, passages)

    model = Hanging()
    monkeypatch.setattr(reranking, "LONGEST_SECONDS", 0.01)
    asked = retriever.model_copy(update={"reranking": Reranking(model)})
    try:
        assert [p.text for p in asked.retrieve("dam high")] == [p.text for p in retriever.retrieve("dam high")]
        asked.retrieve("dam high")
        assert model.asked == 1
    finally:
        awake.set()


# --- what a search costs, and what it may count ---


def test_the_library_is_asked_few_things_for_one_query(
    live: Services, add_text: Add, retriever: HybridRetriever
) -> None:
    add_text("Ed Wood is a film that Tim Burton directed.\n\nTim Burton comes from Burbank in California.")
    with statements(live) as cold:
        retriever.retrieve("Where does the director of the film Ed Wood come from, and how long was it shown?")
    with statements(live) as warm:
        retriever.retrieve("Where does the director of the film Ed Wood come from, and how long was it shown?")
    assert len([statement for statement in warm if "chunk_words MATCH" in statement]) <= 3
    assert len([statement for statement in warm if "index_state" in statement]) <= 3  # before and after the model
    assert len([statement for statement in cold if "chunk_words_terms" in statement]) <= 4


def test_what_documents_of_others_are_about_counts_for_nothing(
    live: Services, add_text: Add, retriever: HybridRetriever
) -> None:
    for number in range(3):
        add_text(f"The dam of Orsa feeds mill {number}.\n\nIts lake is deep.", name=f"{number}.md")
    query = understand("the dam of Orsa", ("en",))

    def told() -> dict[str, float]:
        with live.db.read() as session:
            frequencies, _ = retriever.keyword.rarity(session, query)
            return about(session, query, frequencies, "local", retriever.keyword.counts.documents(session, "local"))

    before = told()
    assert len(before) == 3
    with live.db.write() as session:
        session.add(UserRow(id="other", name="Other", role="user"))
    for number in range(9):
        add_text(f"The dam of Orsa feeds mill {number}.", name=f"{number}.md", owner_id="other")
    assert told() == before


def test_no_page_shows_a_figure_that_counts_documents_of_others(add_text: Add, retriever: HybridRetriever) -> None:
    add_text("The dam of Orsa is high.\n\nThe dam is low.")
    found = retriever.retrieve("How high is the dam of Orsa?", k=2)
    for passage in found:
        (row,) = [row for row in stages(passage, found) if row[0] == "By words"]
        assert row == ("By words", "", f"{passage.rank} of 2")
