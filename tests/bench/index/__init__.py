"""Load, search, refresh and memory of the index, from a thousand to a million chunks."""
