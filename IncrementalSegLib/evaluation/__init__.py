"""Numbers and pages from masks and scores; runs no network."""
