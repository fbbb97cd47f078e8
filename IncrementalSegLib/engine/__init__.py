"""One step from data to a new version: runtime, trainer, learn, score, segment."""
