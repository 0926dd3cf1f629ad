from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import BadUpload
from tests.ingest.made import headings, read

CELLS = [
    {"cell_type": "markdown", "source": ["# Heat\n", "\n", "How it flows.\n\n## Data\n"]},
    {
        "cell_type": "code",
        "source": "print(1)\n",
        "outputs": [
            {"output_type": "stream", "text": ["one\n", "two\n"]},
            {"output_type": "display_data", "data": {"image/png": "aGk=", "text/plain": "<Figure>"}},
            {"output_type": "execute_result", "data": {"text/plain": ["4", "2"], "text/html": "<b>42</b>"}},
            {"output_type": "error", "traceback": ["\x1b[31mZeroDivisionError\x1b[0m", "line 1"]},
        ],
    },
    {"cell_type": "raw", "source": "left"},
]


def test_cells_and_what_they_wrote_are_kept_in_order(tmp_path: Path) -> None:
    book = {"cells": CELLS, "metadata": {"kernelspec": {"language": "python"}}, "nbformat": 4}
    document = read(tmp_path, json.dumps(book), "heat.ipynb")
    assert headings(document) == [(1, "Heat"), (2, "Data")]
    assert document.text == (
        "# Heat\n\nHow it flows.\n\n## Data\n\n```python\nprint(1)\n```\n\n```output\none\ntwo\n```\n\n```output\n42\n```"
        "\n\n```output\nZeroDivisionError\nline 1\n```\n\nleft"
    )
    assert document.warnings == ("1 picture that the code made were left out.",)


def test_the_older_format_is_read_too(tmp_path: Path) -> None:
    book = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"], "outputs": [{"text": "hm"}]}]}]}
    assert read(tmp_path, json.dumps(book), "old.ipynb").text == "```\nx = 1\n```\n\n```output\nhm\n```"


def test_a_notebook_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUpload, match=r"cut.ipynb is damaged"):
        read(tmp_path, json.dumps({"cells": CELLS, "nbformat": 4})[:-60], "cut.ipynb")
