"""Release of models in the forms of other programs."""
