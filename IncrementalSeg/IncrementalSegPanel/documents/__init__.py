"""What the worker answers, as the panel shows it: plain values, no widget."""
