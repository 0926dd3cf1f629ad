"""`python -m core.models list|fetch|verify`."""

import sys

from core.models.command import main

if __name__ == "__main__":
    sys.exit(main())
