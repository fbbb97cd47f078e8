"""A version on labelled cases: numbers, and two versions side by side."""
