"""Telling of a sweep: the screen, the best, the findings."""
