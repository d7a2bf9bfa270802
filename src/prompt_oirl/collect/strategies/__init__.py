"""Which cells of the grid are bought."""
