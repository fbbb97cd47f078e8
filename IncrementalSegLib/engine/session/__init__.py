"""Correction sessions: strokes on one scan after another teach a copy of a model, until it is kept or discarded."""
