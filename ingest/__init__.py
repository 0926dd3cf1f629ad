"""The ingest worker: from a stored file to searchable chunks. Imports core, never pages."""
