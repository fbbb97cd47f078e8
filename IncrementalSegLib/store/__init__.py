"""Models on disk as bytes and JSON; builds no network."""
