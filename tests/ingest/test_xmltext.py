from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import NoText
from tests.ingest.made import headings, read


def test_records_are_lines_with_names_and_stay_together(tmp_path: Path) -> None:
    xml = "<?xml version='1.0'?><all><c id='7'><name>Rome</name><size>10</size></c><c><name>Oslo</name></c></all>"
    assert read(tmp_path, xml, "c.xml").text == "c (id: 7)\nname: Rome\nsize: 10\n\nname: Oslo"


def test_titles_are_headings_and_paragraphs_whole(tmp_path: Path) -> None:
    xml = """<?xml version="1.0"?><book><title>Pumps</title><section><title>Care</title>
    <para>Oil <emphasis>the pump</emphasis> daily &amp; well.</para></section></book>"""
    document = read(tmp_path, xml, "b.xml")
    assert headings(document) == [(1, "Pumps"), (2, "Care")]
    assert document.text == "Pumps\n\nCare\n\nOil the pump daily & well."
    assert document.title == "Pumps"


def test_nothing_is_expanded_or_fetched(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))
    xml = f"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol"><!ENTITY f SYSTEM "file:///etc/passwd">{laughs}]>
    <x><p>before &a10; &f; after</p></x>"""
    document = read(tmp_path, xml, "x.xml")
    assert "before" in document.text
    assert "after" in document.text
    assert document.text == "before &a10; &f; after"
    assert "entities" in document.warnings[-1]


def test_xml_that_is_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    document = read(tmp_path, "<?xml version='1.0'?><a><p>One thing</p><p>Two", "a.xml")
    assert "One thing" in document.text


def test_a_drawing_gives_the_words_in_it(tmp_path: Path) -> None:
    svg = """<svg xmlns="http://www.w3.org/2000/svg"><title>Pump</title><style>.a{}</style><script>alert(1)</script>
    <g><text x="1">Inlet <tspan>valve</tspan></text><path d="M0"/></g><metadata>made by x</metadata></svg>"""
    document = read(tmp_path, svg, "p.svg")
    assert document.text == "Pump\nInlet valve"
    with pytest.raises(NoText):
        read(tmp_path, "<svg xmlns='http://www.w3.org/2000/svg'><path d='M0'/></svg>", "p.svg")
