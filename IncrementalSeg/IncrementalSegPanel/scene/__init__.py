"""The scene: what is read from it, written for the worker, and brought back."""
