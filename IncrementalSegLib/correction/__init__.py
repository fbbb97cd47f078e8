"""Corrections of a predicted scan: uncertain spots, strokes and their propagation; runs no network."""
