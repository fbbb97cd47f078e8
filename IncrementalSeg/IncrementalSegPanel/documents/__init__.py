"""Answers of the worker as the panel shows them: plain values, no widget."""
