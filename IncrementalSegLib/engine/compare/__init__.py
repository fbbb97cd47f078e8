"""Comparison of two versions of a model: scores, retention, pictures and records."""
