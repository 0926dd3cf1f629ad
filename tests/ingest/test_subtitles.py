from __future__ import annotations

from pathlib import Path

from ingest.loaders.textkinds import SRT, VTT
from tests.ingest.made import read

FILM = """1
00:00:01,000 --> 00:00:02,000
<i>Hello</i> there.

2
00:00:03,000 --> 00:00:04,000
Line one

line two after a gap

3
01:02:05,500 --> 01:02:07,000 X1:40 X2:600
42
"""
TALK = """WEBVTT - a talk

NOTE
not said

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v.loud Ann>We &lt;begin&gt;.</v>

00:02.000 --> 00:03.000
Ann: We &lt;begin&gt;.
<00:02.500><c>Now</c>

NOTE 7

01:30.000 --> 01:31.000
Later
"""


def test_what_is_said_is_on_pages_with_their_time(tmp_path: Path) -> None:
    document = read(tmp_path, FILM, "film.txt")
    assert document.media_type == SRT
    assert document.text == "Hello there.\nLine one\nline two after a gap\n\n42"
    assert [(page.number, page.label) for page in document.pages] == [(1, "0:00:00"), (2, "1:02:00")]


def test_webvtt_gives_speakers_and_no_notes(tmp_path: Path) -> None:
    document = read(tmp_path, TALK, "talk.vtt")
    assert document.media_type == VTT
    assert document.text == "Ann: We <begin>.\nNow\n\nLater"
    assert [page.label for page in document.pages] == ["0:00:00", "0:01:00"]


def test_captions_that_scroll_say_each_line_once(tmp_path: Path) -> None:
    cues = "".join(f"00:0{n}.000 --> 00:0{n}.900\nline {n}\nline {n + 1}\n\n" for n in range(1, 6))
    assert read(tmp_path, "WEBVTT\n\n" + cues, "live.vtt").text == "\n".join(f"line {n}" for n in range(1, 7))
