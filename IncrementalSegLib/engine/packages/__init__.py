"""A model as one file, out and in."""
