"""Corrections of a predicted scan: uncertain spots, strokes and their propagation, on arrays; runs no network."""
