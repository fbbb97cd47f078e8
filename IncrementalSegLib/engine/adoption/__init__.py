"""Models that other programs trained: read with distrust, saved as a first version, and written again."""
