"""The default search with Ray Tune, OptunaSearch and ASHA, one core a trial."""

import argparse
import tempfile

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

SPACE = {
    "n_hidden": tune.lograndint(32, 257),
    "forget_bias": tune.uniform(0, 2),
    "learning_rate": tune.loguniform(1e-4, 1e-1),
    "batch_size": tune.lograndint(32, 257),
}


def trial(config: dict, fixed: dict) -> None:
    import keras
    from keras_lstm import train, use_threads

    class Report(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            tune.report({"val_accuracy": logs["val_accuracy"]})

    use_threads(1)
    train(**config, **fixed, callbacks=(Report(),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("digits")
    parser.add_argument("log")
    for name in ("--trials", "--epochs", "--seed"):
        parser.add_argument(name, type=int, required=True)
    given = parser.parse_args()
    fixed = {name: vars(given)[name] for name in ("digits", "log", "epochs", "seed")}
    ray.init(_node_ip_address="127.0.0.1", include_dashboard=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(trial, fixed=fixed), {"cpu": 1}),
            param_space=SPACE,
            tune_config=tune.TuneConfig(
                metric="val_accuracy",
                mode="max",
                search_alg=OptunaSearch(seed=given.seed),
                scheduler=ASHAScheduler(max_t=given.epochs),
                num_samples=given.trials,
            ),
            run_config=tune.RunConfig(storage_path=folder),
        )
        tuner.fit()


if __name__ == "__main__":
    main()
