"""MONAI bundles: configurations that are read and never executed."""
