"""The default search with Hydra's own Optuna sweeper, Keras' `fit` and MLflow.

MLflow's store is that of MLFLOW_TRACKING_URI.
"""

import hydra
import keras
import mlflow
from keras_lstm import train, use_threads
from omegaconf import DictConfig

VALUES = ("n_hidden", "forget_bias", "learning_rate", "batch_size", "epochs", "seed")


class Curves(keras.callbacks.Callback):
    """Sends an epoch's scores to MLflow, all at once."""

    def on_epoch_end(self, epoch, logs):
        mlflow.log_metrics(logs, step=epoch + 1)


@hydra.main(config_path=".", config_name="hydra_optuna", version_base="1.3")
def main(cfg: DictConfig) -> float:
    use_threads(cfg.threads)
    mlflow.set_experiment("digits")
    values = {name: cfg[name] for name in VALUES}
    with mlflow.start_run():
        mlflow.log_params(values)
        if cfg.autolog:
            mlflow.tensorflow.autolog()
            return train(cfg.digits, cfg.log, **values)[1]
        model, best = train(cfg.digits, cfg.log, **values, callbacks=(Curves(),))
        mlflow.log_metric("best", best)
        # without the requirements it takes seconds to find them out
        mlflow.tensorflow.log_model(model, name="model", pip_requirements=["tensorflow==2.21.0"])
    return best


if __name__ == "__main__":
    mlflow.set_experiment("digits")  # makes the store, before several processes would at once
    main()
