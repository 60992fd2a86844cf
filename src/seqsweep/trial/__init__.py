"""Trains: one model, from its configuration to its saved weights. No Optuna here."""
