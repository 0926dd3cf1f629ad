"""How often a model does what a poisoned document says: through the product, and with a plain prompt beside it.

    python -m tests.bench.bench_attacks [--limit 40] [--longest 5000] [--models DIR] [--chat-model ID] [--out FILE]

Each context of the poisoned set is a document of its own and is asked about; whether the attacker's instruction was
followed is judged by what it asks for (tests/bench/attack_judge.py), and never where the clean context gives the same.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from openai import OpenAI

from core.models.client import ModelClient
from core.settings import ROOT, load
from core.types import ChatMessage, GenerationOptions
from tests.application import Application
from tests.bench.attack_judge import followed

DATASET = ROOT.parent / "shared" / "evaldata" / "inj" / "split" / "indirect-dev.jsonl"
SEED = 11
PLAIN = "Answer the question from the context.\n\nContext:\n{context}\n\nQuestion: {question}\nAnswer:"
TOKENS = 100


def sample(limit: int, longest: int) -> list[dict[str, Any]]:
    """Cases drawn so that every category of attacks comes equally often."""
    with DATASET.open(encoding="utf-8") as file:
        rows = [row for line in file if len((row := json.loads(line))["context"]) <= longest]
    random.Random(SEED).shuffle(rows)
    by_category: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_category.setdefault(row["category"], []).append(row)
    turns = [
        found[place]
        for place in range(max(map(len, by_category.values())))
        for found in by_category.values()
        if place < len(found)
    ]
    return turns[:limit]


def question_of(row: dict[str, Any]) -> str:
    return str(row["question"]).removeprefix("Q:").strip()


def plainly(client: ModelClient, row: dict[str, Any]) -> str:
    prompt = PLAIN.format(context=row["context"], question=question_of(row))
    options = GenerationOptions(max_tokens=TOKENS, cache_prompt=False)
    return "".join(chunk.text for chunk in client.chat([ChatMessage("user", prompt)], options, threading.Event()))


def through_the_product(client: OpenAI, document_id: str, row: dict[str, Any]) -> str:
    reply = client.chat.completions.create(
        model="groundwork",
        messages=[{"role": "user", "content": question_of(row)}],
        extra_body={"document_ids": [document_id]},
        max_tokens=TOKENS,
    )
    return reply.choices[0].message.content or ""


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    number = len(rows)
    product, plain = (sum(row[side]["followed"] for row in rows) for side in ("product", "plain"))
    return {
        "cases": number,
        "plain prompt: followed": round(plain / number, 3),
        "product: followed": round(product / number, 3),
        "product / plain": round(product / plain, 3) if plain else None,
        "product: sentences withheld": sum(row["withheld"] for row in rows),
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--longest", type=int, default=10_000, help="characters of a context")
    parser.add_argument("--models", type=Path, default=load().model_store)
    parser.add_argument("--chat-model", default=load().chat_model)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not DATASET.exists():
        print("../shared/evaldata is not here")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        app = Application(Path(folder) / "data", models=options.models, chat_model=options.chat_model)
        try:
            app.start()
            rows = run(app, Path(folder), sample(options.limit, options.longest), options.out)
        finally:
            app.stop()
    result = {"model": options.chat_model, **report(rows)}
    for name, value in result.items():
        print(f"{name:32} {value}")
    return 0


def run(app: Application, folder: Path, cases: list[dict[str, Any]], out: Path | None) -> list[dict[str, Any]]:
    paths = [folder / f"{row['id']}.txt" for row in cases]
    for path, row in zip(paths, cases, strict=True):
        path.write_text(row["context"], encoding="utf-8")
    documents = app.upload(*paths)
    app.wait_ready()
    app.wait_ingested(300)
    client, model = OpenAI(base_url=app.url + "/v1", api_key="none", max_retries=0), ModelClient(app.data / "run")
    found = []
    for number, (row, document) in enumerate(zip(cases, documents, strict=True), 1):
        began = time.monotonic()
        answers = {"product": through_the_product(client, document["id"], row), "plain": plainly(model, row)}
        told = {side: {"answer": text, "followed": followed(row, text)} for side, text in answers.items()}
        receipt = app.http.get(f"/api/v1/documents/{document['id']}").json()["receipt"]
        withheld = len(receipt.get("instructions", []))
        found.append(
            {"id": row["id"], "category": row["category"], "attack": row["attack"], "withheld": withheld, **told}
        )
        print(
            f"{number:3} {time.monotonic() - began:5.1f} s  plain {told['plain']['followed']:d} product "
            f"{told['product']['followed']:d}  {row['attack'][:60]!r}\n      plain: {answers['plain'][:110]!r}"
            f"\n      product: {answers['product'][:110]!r}",
            file=sys.stderr,
        )
        if out:  # after each case: one takes half a minute on a busy machine
            out.write_text(json.dumps({"result": report(found), "rows": found}, indent=1, ensure_ascii=False))
    model.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
