"""Several processes that do one step together."""
