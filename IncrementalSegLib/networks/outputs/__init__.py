"""Outputs by name, one file each: features in, one score map per structure out."""
