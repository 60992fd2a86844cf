"""seqsweep: hyperparameter sweeps for sequence models with Hydra, Optuna, TensorFlow and MLflow."""

from seqsweep.process.channel import TrialPruned, report

__all__ = ["TrialPruned", "report"]
