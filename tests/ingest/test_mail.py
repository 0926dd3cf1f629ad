from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from core.errors import BadUpload
from ingest import sandbox
from ingest.loaders import inside
from ingest.loaders.textkinds import MAIL, MSG, WEB_ARCHIVE
from tests.conftest import SHARED
from tests.ingest.made import headings, pdf, read, word_file

EXAMPLES = SHARED / "evaldata" / "docs" / "unstructured" / "example-docs"


def mail(subject: str = "Offer", body: str = "Please find the offer attached.") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann Müller <ann@example.org>"
    message["To"] = "bob@example.org"
    message["Date"] = "Tue, 05 Mar 2024 12:00:00 +0100"
    message["Subject"] = subject
    message.set_content(body)
    return message


def test_header_and_body_are_text_and_metadata(tmp_path: Path) -> None:
    document = read(tmp_path, mail("Größe prüfen").as_bytes(), "m.eml")
    assert (document.media_type, document.title) == (MAIL, "Größe prüfen")
    assert document.text.startswith("Größe prüfen\n\nFrom: Ann Müller <ann@example.org>\nTo: bob@example.org\nDate: ")
    assert document.text.endswith("Please find the offer attached.")
    about = {key: document.metadata[key] for key in ("author", "to", "created")}
    assert about == {
        "author": "Ann Müller <ann@example.org>", "to": "bob@example.org", "created": "2024-03-05T12:00:00+01:00",
    }  # fmt: skip


def test_attachments_are_read_by_the_loaders_of_their_types(tmp_path: Path) -> None:
    message = mail()
    message.add_attachment(b"part,price\nmotor,12\nseal,3\n", maintype="text", subtype="csv", filename="prices.csv")
    message.add_attachment(pdf(["First", "Second"]), maintype="application", subtype="pdf", filename="../../plan.pdf")
    message.add_attachment(b"\x7fELF" + bytes(99), maintype="application", subtype="x", filename="tool.bin")
    document = read(tmp_path, message.as_bytes(), "m.eml")
    assert headings(document) == [(1, "Offer"), (2, "prices.csv"), (2, "plan.pdf")]
    assert [table.header for table in document.tables] == ["| part | price |"]
    assert document.warnings == ("Attachments that were not read: tool.bin.",)
    assert [page.label for page in document.pages] == ["", "plan.pdf, 1", "plan.pdf, 2"]
    second = document.pages[2]
    assert document.text[second.start : second.end] == "Second"
    assert document.pages[0].start == 0


def test_attachments_are_read_within_the_sandbox_too(tmp_path: Path) -> None:
    message = mail()
    word = word_file(tmp_path / "a.docx", lambda word: word.add_paragraph("Within Word."))
    message.add_attachment(word.read_bytes(), maintype="application", subtype="x", filename="a.docx")
    message.add_attachment(pdf(["Within a PDF"]), maintype="application", subtype="pdf", filename="b.pdf")
    path = tmp_path / "stored"
    path.write_bytes(message.as_bytes())
    document = sandbox.parse(path, "m.eml", seconds=30, memory_mb=1024)
    assert "Within Word." in document.text
    assert "Within a PDF" in document.text
    assert [page.label for page in document.pages] == ["", "b.pdf, 1"]


def test_a_mail_within_a_mail_is_a_section(tmp_path: Path) -> None:
    message = mail()
    message.add_attachment(mail("The first mail", "Where is the offer?"))
    document = read(tmp_path, message.as_bytes(), "m.eml")
    assert headings(document) == [(1, "Offer"), (2, "The first mail")]
    assert "Where is the offer?" in document.text


@pytest.mark.parametrize(
    ("html", "holds"),
    [
        ("<p>Please find <b>the offer</b> attached.</p><table><tr><td>a<td>b<tr><td>1<td>2</table>", "| a | b |"),
        ("<p>See the text.</p>", "Please find the offer attached."),
    ],
)
def test_of_two_forms_the_richer_one_is_read(tmp_path: Path, html: str, holds: str) -> None:
    message = mail()
    message.add_alternative(html, subtype="html")
    document = read(tmp_path, message.as_bytes(), "m.eml")
    assert holds in document.text
    assert document.text.count("offer") + document.text.count("See the text") == 1


def test_broken_headers_and_bodies_lose_nothing_that_can_be_read(tmp_path: Path) -> None:
    raw = (
        b"From: =?utf-9?q?x?= <a@b.example>\nSubject: Gr\xc3\xb6\xc3\x9fe =?koi8-r?B?8NLJ18XU?=\nTo: <\nDate: not a day\n"
        b"Content-Type: text/plain; charset=unknown-8\nContent-Transfer-Encoding: base64\n\nSGFsbG8gV2VsdA\n"
    )
    document = read(tmp_path, raw, "m.eml")
    assert document.title == "Größe Привет"
    assert "created" not in document.metadata
    assert "Hallo Welt" in document.text


def test_a_mailbox_holds_its_mails(tmp_path: Path) -> None:
    parts = [b"From ann@example.org Tue Mar  5 12:00:00 2024\n" + mail(f"Mail {n}").as_bytes() for n in (1, 2, 3)]
    document = read(tmp_path, b"\n".join(parts), "all.mbox")
    assert headings(document) == [(1, "Mail 1"), (1, "Mail 2"), (1, "Mail 3")]


@pytest.mark.parametrize(
    "kind", ["application/pkcs7-mime; smime-type=enveloped-data", "multipart/encrypted; boundary=b"]
)
def test_an_encrypted_mail_is_refused(tmp_path: Path, kind: str) -> None:
    raw = f"From: a@b.c\nTo: d@e.f\nDate: x\nMIME-Version: 1.0\nContent-Type: {kind}\n\n"
    raw += "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b--\n"
    with pytest.raises(BadUpload, match=r"m.eml is encrypted"):
        read(tmp_path, raw, "m.eml")


def test_a_mail_that_is_nested_beyond_reason_is_refused_or_cut(tmp_path: Path) -> None:
    head = "From: a@b.c\nTo: d@e.f\nDate: x\nSubject: s\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"
    with pytest.raises(BadUpload, match="nested deeper"):
        read(tmp_path, head * 3_000 + "hi", "m.eml")


def test_the_allowance_for_attachments_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "MOST_FILES", 2)
    message = mail()
    for number in range(4):
        message.add_attachment(b"text %d" % number, maintype="text", subtype="x", filename=f"{number}.txt")
    document = read(tmp_path, message.as_bytes(), "m.eml")
    assert document.warnings == ("Attachments that were not read: 2.txt, 3.txt.",)
    assert len(read(tmp_path, message.as_bytes(), "m.eml").headings) == 3  # the next upload has its own


def test_a_saved_page_is_read_with_its_frames(tmp_path: Path) -> None:
    raw = (
        b"From: <Saved by Blink>\nSnapshot-Content-Location: https://example.org/pump\nSubject: Pump\nDate: Tue, 5 Mar 2024 12:00:00 +0000\n"
        b'MIME-Version: 1.0\nContent-Type: multipart/related;\n\ttype="text/html"; boundary="b"\n\n--b\n'
        b"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        b"<html lang=3Den><title>The pump</title><h1>Care</h1><p>Oil it =C3=B6ften.</p>\n--b\n"
        b"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--b\n"
        b"Content-Type: text/html\n\n<p>A frame.</p>\n--b--\n"
    )
    document = read(tmp_path, raw, "pump.mhtml")
    assert (document.media_type, document.title) == (WEB_ARCHIVE, "The pump")
    assert document.text == "Care\n\nOil it öften.\n\nA frame."
    assert document.metadata["source"] == "https://example.org/pump"
    assert document.metadata["modified"] == "2024-03-05T12:00:00+00:00"


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the evaluation data is not beside the repository")
def test_an_outlook_message_is_read(tmp_path: Path) -> None:
    content = (EXAMPLES / "fake-email-with-cc-and-bcc.msg").read_bytes()
    document = read(tmp_path, content, "m.eml")
    assert document.media_type == MSG
    assert document.metadata["author"] == "John <johnjennings702@gmail.com>"
    assert document.metadata["created"] == "2024-07-29T20:38:11+00:00"
    assert "This is a test email. Please ignore." in document.text
    with pytest.raises(BadUpload, match="is damaged|old or password-protected"):
        read(tmp_path, content[:6_000], "cut.msg")
