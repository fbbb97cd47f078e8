"""What lies on disk: bytes and JSON, builds no network."""
