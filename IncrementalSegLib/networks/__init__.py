"""Trunks, outputs that grow, and the segmenter that joins them."""
