"""Descriptors by name, one file each: image in, feature maps out."""
