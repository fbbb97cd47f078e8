"""Adoption of models that other programs trained: read with distrust, translated, saved as the first version."""
