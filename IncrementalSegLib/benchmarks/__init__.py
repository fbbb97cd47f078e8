"""Protocols of the papers as data, the runner, its tables and plots."""
