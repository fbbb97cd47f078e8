"""The actions of a person in the panel, step by step, without a widget."""
