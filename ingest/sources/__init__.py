"""Looking at web sites and watched folders, in the ingest worker."""
