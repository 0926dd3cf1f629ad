"""The process that runs llama.cpp: nothing here is imported by the server itself, which must outlive it."""

import os

# How often a thread of llama.cpp looks whether the others are done before it goes to sleep; read when the library is
# loaded. With the default of 300,000 the threads burn the very cores that the late one is waiting for as soon as
# another process wants some: 1 token a second instead of 11. On an idle machine 1,000 costs nothing (29 tokens a
# second with both), 0 costs a third.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
