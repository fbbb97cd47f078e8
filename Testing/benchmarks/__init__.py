"""Benchmarks on the protocols of papers; see docs/benchmarks."""
