"""seqsweep: hyperparameter sweeps for sequence models with Hydra, Optuna, TensorFlow and MLflow."""

from seqsweep.process.channel import TrialInterrupted, TrialPruned, interrupted, report

__all__ = ["TrialInterrupted", "TrialPruned", "interrupted", "report"]
