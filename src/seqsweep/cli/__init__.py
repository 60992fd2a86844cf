"""The command `seqsweep`: what became of sweeps, for who is not in the dashboard.

Nothing here imports TensorFlow, MLflow or Optuna before a command needs it.
"""
