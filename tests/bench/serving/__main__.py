"""What the model server is worth, beside llama.cpp's own tools and two other servers: `make bench-serving`.

    python -m tests.bench.serving [--model ID] [--rounds 3] [--only streams,people] [--minutes 10]

Writes docs/serving.md. Nothing else should run meanwhile; one round with the default model takes about half an hour.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from core.settings import ROOT, load
from tests.bench.serving import embedding, fairness, people, sharing, soak, streams, turns
from tests.bench.serving.bench import Bench
from tests.bench.serving.report import save, table

GROUPS = {
    "streams": streams.measure,
    "people": people.measure,
    "turns": turns.measure,
    "embedding": embedding.measure,
    "sharing": sharing.measure,
    "fairness": fairness.measure,
    "soak": soak.measure,
}
TABLE = ROOT / "docs" / "serving.md"
HEAD = "# The model server, measured\n\n`make bench-serving` makes this table; each ratio is from one run on the same machine.\n\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=load().chat_model, help="id of an installed chat model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10, help="of the soak test")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, with commas")
    arguments = parser.parse_args()
    bench = Bench(arguments.model, arguments.rounds, arguments.minutes)
    kept = load().data / "cache" / "bench-serving.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.only.split(","):
        print(name, flush=True)
        save(kept, name, GROUPS[name](bench))
        TABLE.write_text(HEAD + table(kept, bench.model), encoding="utf-8")
    print(Path(TABLE).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
