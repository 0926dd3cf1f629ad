"""Forty-five made failures, five of each kind, over real files and the real stages: the broken link is named.

Only the model is played: it says what the case has it say.
"""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.evaluation.answers import ask
from core.evaluation.corpus import Corpus
from core.evaluation.dataset import Dataset, Question
from core.evaluation.diagnosis import Cause
from core.evaluation.why import why_missed, why_wrong
from core.services import Services, build
from core.settings import Settings
from core.types import Scope
from ingest import sandbox
from ingest.split import BUDGET
from tests.evaluation.conftest import worker_over
from tests.small import SmallClient

ME = "local"
ABSTAINS = "I could not find this in your documents."
SHIPS = ("Aurora", "Borealis", "Castor", "Dorado", "Electra")


@dataclass
class Case:
    """A question that is answered wrongly: `reply` is what the model says, `relevant` names of files known to answer."""

    question: str
    expected: str
    reply: str = ABSTAINS
    relevant: tuple[str, ...] = ()


@dataclass
class Scene:
    """Files and questions about them. `room`: tokens that are left for passages, `budget`: those of a chunk."""

    files: dict[str, bytes]
    cases: list[Case]
    passages: int = 3
    room: int | None = None
    budget: int = BUDGET
    late: Callable[[Services], list[Case]] | None = field(default=None)


def text(*paragraphs: str) -> bytes:
    return "\n\n".join(paragraphs).encode()


def raw(path: Path, name: str) -> str:
    return sandbox.characters(path, name, seconds=30, memory_mb=1024)


# --- the scenes ------------------------------------------------------------------------------------------


def not_in_file() -> Scene:
    files = {
        f"{ship}.md": text(f"# {ship}", f"The {ship} is a ferry with two decks. She was painted white in Lund.")
        for ship in SHIPS
    }
    replies = [ABSTAINS, ABSTAINS, "The captain is a man of great experience.", ABSTAINS, "Her captain likes tea."]
    cases = [
        Case(f"Who is the captain of the {ship}?", "Ingrid Holm", reply)
        for ship, reply in zip(SHIPS, replies, strict=True)
    ]
    return Scene(files, cases)


def lost_in_parsing() -> Scene:
    page = "<html><body><h1>{0}</h1><p>The {0} is a ferry with two decks.</p>{1}</body></html>"
    fact = "The engine of the {0} has 4711 horsepower."
    hidden = [
        "<p hidden>" + fact + "</p>",
        '<div style="display:none">' + fact + "</div>",
        "<script>var engine = '" + fact + "';</script>",
        "<noscript>" + fact + "</noscript>",
    ]
    files = {
        f"{ship}.html": page.format(ship, place.format(ship)).encode()
        for ship, place in zip(SHIPS, hidden, strict=False)
    }
    files["Electra.docx"] = docx("The Electra is a ferry with two decks.", deleted=fact.format("Electra"))
    return Scene(files, [Case(f"How many horsepower has the engine of the {ship}?", "4711") for ship in SHIPS])


def in_no_chunk() -> Scene:
    def across(live: Services) -> list[Case]:
        """The last words of one chunk and the first of the next are the expected answer."""
        cases = []
        for document in sorted(live.documents.list_documents(owner_id=ME), key=lambda document: document.name):
            with live.db.read() as session:
                from sqlalchemy import select

                from core.storage.tables import ChunkRow

                rows = session.scalars(
                    select(ChunkRow).where(ChunkRow.document_id == document.id).order_by(ChunkRow.position)
                ).all()
                first, second = rows[0], rows[1]
            answer = " ".join([*first.text.split()[-4:], *second.text.split()[:4]])
            cases.append(
                Case(f"What stands between the parts of the {document.title}?", answer, relevant=(document.name,))
            )
        return cases

    files = {}
    for number, ship in enumerate(SHIPS):
        log = [
            f"On day {day} the {ship} carried {day * 7 + number} crates of cargo{day + number} to port{day}."
            for day in range(1, 60)
        ]
        files[f"{ship}.md"] = f"# {ship}\n\n{' '.join(log)}\n".encode()
    return Scene(files, [], passages=1, late=across)


def not_in_top() -> Scene:
    """More than a hundred passages have every word of the question, and the one with the answer has one of them."""
    files, cases = {}, []
    for ship in SHIPS:
        crowd = [
            f"## Notice {n} of {ship}\n\nWhat insurance premium does the {ship} pay every year, asked notice number {n} about the insurance premium."
            for n in range(130)
        ]
        files[f"{ship} notices.md"] = "\n\n".join(crowd).encode()
        files[f"{ship}.md"] = text(
            f"Her owners give {len(ship)}9,500 crowns to the underwriters for each calendar twelvemonth of sailing with the {ship}."
        )
        cases.append(
            Case(
                f"What insurance premium does the {ship} pay every year?",
                f"{len(ship)}9,500 crowns",
                relevant=(f"{ship}.md",),
            )
        )
    return Scene(files, cases, budget=40)


def below_cut() -> Scene:
    files, cases = {}, []
    for ship in SHIPS:
        for n in range(3):
            files[f"{ship} gossip {n}.md"] = text(
                f"When was the hull of the {ship} painted last? Nobody who was asked {n} times when the hull was painted last could tell."
            )
        files[f"{ship}.md"] = text(
            f"The yard book says of many ships what was done to them. The {ship} got new paint on her hull in 1987, after the ice had gone and the cranes were free again."
        )
        cases.append(Case(f"When was the hull of the {ship} painted last?", "1987"))
    return Scene(files, cases, passages=2)


def cut_from_context() -> Scene:
    files = {
        f"{ship}.md": text(
            f"The length of the {ship} is 93 metres over all, which is told here at some length with {' and '.join(['many more words'] * 25)}."
        )
        for ship in SHIPS
    }
    return Scene(files, [Case(f"What is the length of the {ship}?", "93 metres") for ship in SHIPS], room=12)


def ignored() -> Scene:
    files = {
        f"{ship}.md": text(
            f"The {ship} carries 412 passengers on three decks.", f"The cook of the {ship} bakes bread at five."
        )
        for ship in SHIPS
    }
    replies = [
        ABSTAINS,
        "Bread is baked at five.",
        ABSTAINS,
        "It is a large number of people.",
        "There are 99 of them [1].",
    ]
    cases = [
        Case(f"How many passengers does the {ship} carry?", "412", reply)
        for ship, reply in zip(SHIPS, replies, strict=True)
    ]
    return Scene(files, cases)


def contradicted() -> Scene:
    files, cases = {}, []
    for ship in SHIPS:
        files[f"{ship} brochure.md"] = text(f"The top speed of the {ship} is 31 knots.")
        files[f"{ship} trial.md"] = text(f"The top speed of the {ship} was measured as 24 knots.")
        cases.append(
            Case(f"What is the top speed of the {ship}?", "24 knots", f"The top speed of the {ship} is 31 knots.")
        )
    return Scene(files, cases, passages=10)


def expected_wrong() -> Scene:
    files = {
        f"{ship}.md": text(f"The {ship} was launched in Gdansk in 1962.", f"The {ship} has 1948 portholes.")
        for ship in SHIPS
    }
    wrong = ["1911", "1948", "Hamburg", "1999", "1948"]
    cases = [
        Case(f"When was the {ship} launched?", answer, f"The {ship} was launched in 1962.")
        for ship, answer in zip(SHIPS, wrong, strict=True)
    ]
    return Scene(files, cases)


SCENES = {
    Cause.not_in_file: not_in_file,
    Cause.lost_in_parsing: lost_in_parsing,
    Cause.in_no_chunk: in_no_chunk,
    Cause.not_in_top: not_in_top,
    Cause.below_cut: below_cut,
    Cause.cut_from_context: cut_from_context,
    Cause.ignored: ignored,
    Cause.contradicted: contradicted,
    Cause.expected_wrong: expected_wrong,
}


def docx(shown: str, *, deleted: str) -> bytes:
    """A Word file with a paragraph, and one that was deleted while changes were tracked."""
    from docx import Document

    whole = io.BytesIO()
    document = Document()
    document.add_heading("Electra", 1)
    document.add_paragraph(shown)
    document.save(whole)
    gone = f'<w:p><w:del w:id="1" w:author="a"><w:r><w:delText>{deleted}</w:delText></w:r></w:del></w:p>'
    made = io.BytesIO()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == "word/document.xml":
                content = content.replace(b"<w:sectPr", gone.encode() + b"<w:sectPr", 1)
            target.writestr(member, content)
    return made.getvalue()


# --- the test --------------------------------------------------------------------------------------------


@contextmanager
def played(scene: Scene, folder: Path) -> Iterator[tuple[Services, SmallClient]]:
    settings = Settings(data=folder, models=folder / "models", passages=scene.passages)
    client = SmallClient(settings.run)
    live = build(settings, client)
    try:
        for name, body in scene.files.items():
            live.documents.add(io.BytesIO(body), name=name, owner_id=ME)
        worker = worker_over(live, budget=scene.budget)
        while worker.work_one():
            pass
        yield live, client
    finally:
        live.release()


def causes(scene: Scene, folder: Path) -> list[str]:
    with played(scene, folder) as (live, client):
        cases = scene.late(live) if scene.late else scene.cases
        ids = {document.id: (document.name,) for document in live.documents.list_documents(owner_id=ME)}
        corpus = Corpus(live, Scope(ME), ids)
        found = []
        for number, case in enumerate(cases):
            client.reply = lambda messages, case=case: case.reply
            if scene.room is not None:
                client.context_tokens = lambda case=case: room_for_the_question(live, client, case) + scene.room  # type: ignore[method-assign]
            question = Question(str(number), case.question, (case.expected,))
            relevant = {question.id: dict.fromkeys(case.relevant, 1.0)} if case.relevant else {}
            dataset = Dataset("made", (question,), relevant)
            answered = ask(
                corpus, question, options=live.turns.records.recipe().options, cancel=threading.Event(),
                why=lambda q, cited, kept, dataset=dataset: why_missed(corpus, dataset, q, cited, kept, raw=raw),
            )  # fmt: skip
            assert not answered.reply.right, f"{case.question} was answered rightly: {answered.reply.text}"
            assert answered.cause
            found.append(answered.cause["cause"])
        return found


def room_for_the_question(live: Services, client: SmallClient, case: Case) -> int:
    """What the prompt needs without any passage, and its answer."""
    from core.prompts import render

    frame = render(
        live.prompts.published("answer").text, {"question": case.question, "today": "2026-01-01", "passages": ""}
    )
    return client.count_messages(frame) + live.turns.records.recipe().options.max_tokens


def test_of_45_made_failures_at_least_40_are_named_rightly(tmp_path: Path) -> None:
    named = {cause: causes(make(), tmp_path / cause.name) for cause, make in SCENES.items()}
    assert sum(len(found) for found in named.values()) == 45
    right = sum(found.count(cause.value) for cause, found in named.items())
    shown = "\n".join(f"{cause.value}: {found}" for cause, found in named.items())
    print(f"{right} of 45\n{shown}")
    assert right >= 40, shown
    assert all(found.count(cause.value) >= 3 for cause, found in named.items()), shown


def test_one_answer_of_a_conversation_is_explained(
    live: Services, client: SmallClient, add_text: Callable[..., str]
) -> None:
    add_text("The warranty lasts 24 months.\n\nThe battery weighs 3 kg.", name="manual.md")
    client.reply = lambda messages: ABSTAINS
    question = "How long does the warranty last?"
    turn = live.turns.begin(question, owner_id=ME)
    assert turn.ended(10)
    scope = live.conversations.scope(turn.conversation_id, owner_id=ME)
    answer = live.conversations.thread(turn.conversation_id, owner_id=ME)[-1]
    told = why_wrong(live, answer, question=question, expected=["24 months"], scope=scope, raw=raw)
    assert told.cause is Cause.ignored
    assert "manual.md" in told.sentence
    missing = why_wrong(live, answer, question=question, expected=["96 years"], scope=scope, raw=raw)
    assert missing.cause is Cause.not_in_file


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("a.html", b"<p>one</p><!-- two --><script>three</script>", ["one", "two", "three"]),
        ("b.txt", "naïve".encode("utf-16"), ["naïve"]),
        ("c.txt", "naïve".encode("cp1252"), ["naïve"]),
        ("d.docx", docx("shown", deleted="deleted"), ["shown", "deleted"]),
        ("e.zip", b"PK\x03\x04 broken", ["broken"]),
        ("f.pdf", b"%PDF-1.4 nothing of it is true", ["nothing of it is true"]),
    ],
)
def test_all_that_a_file_holds_is_found_in_the_readers_child(
    tmp_path: Path, name: str, body: bytes, words: Sequence[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    found = raw(path, name)
    assert all(word in found for word in words)
