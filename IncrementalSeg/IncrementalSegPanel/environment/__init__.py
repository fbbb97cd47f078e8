"""What the worker needs on this computer, and how it is installed."""
