"""Search by meaning: FAISS, imported nowhere else, as a checked cache over the vectors in SQL, rebuilt when in doubt.

`index.py` searches; `upkeep.py` keeps what it searches current; `near.py` is the index itself, in one of two forms;
`index_file.py` stores it; `feed.py` reads from SQL what they need.
"""

from core.retrieval.dense.index import DenseIndex
from core.retrieval.dense.index_file import read, write
from core.retrieval.dense.near import Limits, NearIndex

__all__ = ["DenseIndex", "Limits", "NearIndex", "read", "write"]
