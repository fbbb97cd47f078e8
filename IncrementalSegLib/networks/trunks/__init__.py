"""Trunks by name, one file each: image in, features out."""
