"""The papers, one file each with a ``PAPER``."""
