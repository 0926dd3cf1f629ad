"""The abuse corpus through the running application: every file, name and prompt, over REST and in a browser.

    python -m tests.bench.abuse [--only rest,page] [--pictures FOLDER]

Prints what differs from the manifest, then one line of JSON with the figures; ends with 1 where something differs.
Answers come from the small test model: that nothing breaks is looked at here, and by whom a model is obeyed elsewhere.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from core.settings import ROOT
from tests.bench.abuse.browser import InBrowser
from tests.bench.abuse.rest import OverRest
from tests.bench.abuse.trial import Trial
from tests.browser.conftest import chromium

MAKER = ROOT.parent / "shared" / "abuse" / "make_abuse.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="rest,page")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    path = chromium()
    if path is None or not MAKER.exists():
        print("Chromium or ../shared/abuse is not here")
        return 2
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        subprocess.run([sys.executable, str(MAKER), str(corpus), "--big"], check=True, stdout=subprocess.DEVNULL)
        for edge in options.only.split(","):
            with Trial(Path(folder) / edge, corpus) as trial:
                if edge == "rest":
                    OverRest(trial).run()
                else:
                    InBrowser(trial, path, options.pictures).run()
                wrong += trial.told(edge)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
