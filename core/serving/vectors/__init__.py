"""The process that turns texts into vectors: nothing here is imported by the server itself, which must outlive it."""
