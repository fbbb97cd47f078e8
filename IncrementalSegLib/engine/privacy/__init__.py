"""Patient-derived data in a model, and its deletion."""
