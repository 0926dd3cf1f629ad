from __future__ import annotations

from pathlib import Path

from ingest import sandbox
from ingest.loaders.textkinds import CORPUS
from tests.ingest.made import headings, read

CORPUS_FILE = """# newdoc id = weblog-1
# sent_id = 1
1-2\tdel\t_\t_\t_\t_\t_\t_\t_\t_
1\tde\tde\tADP\t_\t_\t3\tcase\t_\t_
2\tel\tel\tDET\t_\t_\t3\tdet\t_\t_
3\tmar\tmar\tNOUN\t_\t_\t0\troot\t_\tSpaceAfter=No
4\t"\t"\tPUNCT\t_\t_\t3\tpunct\t_\tSpaceAfter=No
5\t.\t.\tPUNCT\t_\t_\t3\tpunct\t_\t_

# sent_id = 2
1\tHola\thola\tINTJ\t_\t_\t0\troot\t_\t_
1.1\tleft\tleft\tX\t_\t_\t_\t_\t_\t_
"""


def test_an_annotated_corpus_becomes_sentences(tmp_path: Path) -> None:
    document = read(tmp_path, CORPUS_FILE, "c.conllu")
    assert document.media_type == CORPUS
    assert headings(document) == [(1, "weblog-1")]
    assert document.text == 'weblog-1\n\ndel mar".\nHola'


def test_it_is_read_within_the_sandbox_too(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_text(CORPUS_FILE, encoding="utf-8")
    assert "del mar" in sandbox.parse(path, "c.conllu", seconds=30, memory_mb=1024).text
