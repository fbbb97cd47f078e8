"""Images and segmentations in files: volume, io, segmentations, checks."""
