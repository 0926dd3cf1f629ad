"""`python -m core.serving.vectors.prepare`: find out how the embedding model is fastest here, before the first start.

The model server would do it otherwise, while somebody waits for the first answer. Ends at once when it is known.
"""

from __future__ import annotations

import sys

from core.errors import GroundworkError
from core.models.catalog import find, installed_path
from core.serving.machine import physical_cores
from core.serving.vectors.choice import choose
from core.settings import load


def main() -> int:
    """Measure if need be; a failure is no reason not to start, since the server tries again."""
    settings = load()
    if settings.embedding_form:
        return 0
    told = False

    def tell(done: int, of: int, _form: str) -> None:
        nonlocal told
        if not told:
            sys.stdout.write("Finding out how the embedding model is fastest on this processor, once, about 40 s\n")
            told = True
        sys.stdout.write(f"\r  step {done} of {of}" + ("\n" if done == of else ""))
        sys.stdout.flush()

    try:
        model = find(settings.embedding_model)
        folder = installed_path(model, settings.model_store)
        choose(model.id, folder, work=settings.cache_folder, threads=physical_cores(), progress=tell)
    except GroundworkError as error:
        sys.stderr.write(f"{error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
