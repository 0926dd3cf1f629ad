"""Answers over SQuAD articles through the running application: right, cited, and cited from the right place.

python -m tests.bench.bench_answers --limit 40 [--models DIR] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

from openai import OpenAI

from core.settings import ROOT, load
from tests.application import Application

DATASET = ROOT.parent / "shared" / "evaldata" / "beir" / "squad1-dev"
SEED = 7


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_articles(folder: Path) -> list[Path]:
    """One Markdown file for every article, its passages as paragraphs."""
    articles: dict[str, list[str]] = {}
    for passage in lines(DATASET / "corpus.jsonl"):
        articles.setdefault(passage["title"], []).append(passage["text"])
    paths = []
    for title, passages in articles.items():
        path = folder / (re.sub(r"[^\w -]", "", title) + ".md")
        path.write_text(f"# {title}\n\n" + "\n\n".join(passages) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def holds(text: str, answers: list[str]) -> bool:
    """Plain string match without regard to case and blanks."""
    flat = " ".join(text.lower().split())
    return any(" ".join(answer.lower().split()) in flat for answer in answers)


def ask(client: OpenAI, app: Application, question: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    reply = client.chat.completions.create(model="groundwork", messages=[{"role": "user", "content": question["text"]}])
    extra = reply.model_extra or {}
    answer = reply.choices[0].message.content or ""
    passages = {passage["number"]: passage["text"] for passage in extra["passages"]}
    texts = {
        c["document_id"]: app.http.get(f"/api/v1/documents/{c['document_id']}/text").json()["text"]
        for c in extra["citations"]
    }
    return {
        "question": question["text"],
        "answers": question["answers"],
        "answer": answer,
        "found": any(holds(text, question["answers"]) for text in passages.values()),
        "right": holds(answer, question["answers"]),
        "cited": bool(extra["citations"]),
        "cites_answer": any(holds(passages[c["number"]], question["answers"]) for c in extra["citations"]),
        "verbatim": [texts[c["document_id"]][c["start"] : c["end"]] == c["quote"] != "" for c in extra["citations"]],
        "prompt_tokens": reply.usage.prompt_tokens if reply.usage else 0,
        "seconds": round(time.monotonic() - began, 2),
        "first": extra.get("usage", {}),
    }


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    right = [row for row in rows if row["right"]]
    places = [place for row in rows for place in row["verbatim"]]
    return {
        "questions": len(rows),
        "passage found": mean(row["found"] for row in rows),
        "right": mean(row["right"] for row in rows),
        "carry a citation": mean(row["cited"] for row in rows),
        "right answers that cite a passage with the answer": mean(row["cites_answer"] for row in right) if right else 0,
        "citations that open stored words": mean(places) if places else 0,
        "citations": len(places),
        "prompt tokens, mean": mean(row["prompt_tokens"] for row in rows),
        "seconds, median": median(row["seconds"] for row in rows),
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--models", type=Path, default=load().model_store)
    parser.add_argument("--chat-model", default=load().chat_model)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not DATASET.exists():
        print("../shared/evaldata is not here")
        return 2
    questions = [q for q in lines(DATASET / "queries.jsonl") if q["answerable"]]
    chosen = random.Random(SEED).sample(questions, options.limit)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        app = Application(data, models=options.models, chat_model=options.chat_model)
        try:
            app.start()
            app.upload(*write_articles(Path(folder)))
            app.wait_ready()
            app.wait_ingested(300)
            client = OpenAI(base_url=app.url + "/v1", api_key="none", max_retries=0)
            rows = []
            for number, question in enumerate(chosen, 1):
                rows.append(ask(client, app, question))
                row = rows[-1]
                print(
                    f"{number:3} {'right' if row['right'] else 'WRONG':6} {row['seconds']:5.1f} s  {row['question'][:60]} -> {row['answer'][:100]!r} / {row['answers'][0]}",
                    file=sys.stderr,
                )
        finally:
            app.stop()
    result = report(rows)
    for name, value in result.items():
        print(f"{name:52} {value:.3f}" if isinstance(value, float) else f"{name:52} {value}")
    if options.out:
        options.out.write_text(json.dumps({"result": result, "rows": rows}, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
