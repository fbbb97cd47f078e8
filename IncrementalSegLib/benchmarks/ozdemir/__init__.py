"""Ozdemir 2018: heads, in two steps."""
