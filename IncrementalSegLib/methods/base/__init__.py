"""The contract of a method and what a step hands to it."""
