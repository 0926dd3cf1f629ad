"""The layer that turns texts into vectors and pairs into scores, in the form that is fastest on this processor."""
