"""The panel of IncrementalSeg in 3D Slicer."""
