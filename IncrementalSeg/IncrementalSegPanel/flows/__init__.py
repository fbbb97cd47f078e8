"""What a person does with the panel, step by step, without a widget."""
