"""The seam between search and training: one process a trial, and what the two sides say.

The parent side knows no TensorFlow, the child side neither Optuna nor MLflow's state.
"""
