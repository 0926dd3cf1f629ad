from __future__ import annotations

from pathlib import Path

import pytest

from tests.ingest.made import headings, read

RST = """======
Manual
======

:Author: Ann

Part one
========

Text::

    ----

Deeper
------

+------+-------+
| Part | Price |
+======+=======+
| Seal | 3     |
+------+-------+

Part two
========
"""
TEX = r"""\documentclass{article}
\title{The \emph{Warm} B\"ur\'o}
\author{Ann M\"uller \and Bob}
\begin{document}
\section{Intro\label{a}}
Gr{\"o}\ss e, stra\ss{}e, \c{c}a, \v{s}, na\"{\i}ve, a\\"quoted", \cr \ref{x} \url{y}.
% \section{Not shown}
\subsection*{Deeper {nested} one}
\end{document}
"""
ORG = """#+TITLE: Plan
#+AUTHOR: Ann
* TODO [#A] Buy it        :shop:
text
** Which one
| Part | Price |
|------+-------|
| Seal | 3     |
"""


def test_restructured_text_has_levels_by_the_order_of_its_rules(tmp_path: Path) -> None:
    document = read(tmp_path, RST, "manual.rst")
    assert document.text == RST
    assert headings(document) == [(1, "Manual"), (2, "Part one"), (3, "Deeper"), (2, "Part two")]
    (table,) = document.tables
    assert table.header == "+------+-------+\n| Part | Price |"
    assert document.text[table.start : table.end].endswith("| Seal | 3     |\n+------+-------+")
    assert (document.title, document.metadata["author"]) == ("Manual", "Ann")


def test_latex_has_headings_and_real_letters(tmp_path: Path) -> None:
    document = read(tmp_path, TEX, "warm.tex")
    assert headings(document) == [(1, "Intro a"), (2, "Deeper nested one")]
    assert (document.title, document.metadata["author"]) == ("The Warm Büró", "Ann Müller Bob")
    for kept in ("Größe, straße, ça, š, naïve", r'a\\"quoted"', r"\cr \ref{x} \url{y}"):
        assert kept in document.text


def test_org_has_headings_without_their_marks(tmp_path: Path) -> None:
    document = read(tmp_path, ORG, "plan.org")
    assert document.text == ORG
    assert headings(document) == [(1, "Buy it"), (2, "Which one")]
    assert document.tables[0].header == "| Part | Price |"
    assert (document.title, document.metadata["author"]) == ("Plan", "Ann")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("intro\n\n1. About\n********\n\ntext\n\n1.1. More\n=========\n", ["1. About", "1.1. More"]),
        ("a table\n-----\nx\n", []),
        ("| a |\n=====\n", ["| a |"]),
        ("one line\ntwo line\n--------\n", []),
        ("________________\n________________\n", []),
    ],
)
def test_underlined_lines_of_plain_text_are_headings(tmp_path: Path, text: str, found: list[str]) -> None:
    assert [title for _, title in headings(read(tmp_path, text, "note.txt"))] == found
