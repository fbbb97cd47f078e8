"""Which scans to remember: certainty, coverage, content, and the memory that keeps them."""
