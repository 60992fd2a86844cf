"""What is searched: parameters, their ranges, grids and known points."""
