"""Choice of exemplars by certainty, coverage and content, and the memory that keeps them."""
