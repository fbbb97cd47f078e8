"""Branches by name, one file each: the features of a trunk's first half in, other features out."""
