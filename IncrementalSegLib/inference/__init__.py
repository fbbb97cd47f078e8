"""From a segmenter and a volume to a prediction; knows no method."""
