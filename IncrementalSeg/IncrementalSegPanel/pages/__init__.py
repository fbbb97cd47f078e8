"""The pages of the panel: each shows what a flow knows and tells it what was clicked."""
