"""A support vector machine that reads digits, judged fold by fold."""

import statistics

import hydra
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import seqsweep


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg: DictConfig) -> float:
    """Gives the mean accuracy over the folds of a cross-validation."""
    pixels, digits = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), SVC(C=cfg.C, gamma=cfg.gamma))
    folds = StratifiedKFold(cfg.folds, shuffle=True, random_state=cfg.seed)
    scores = []
    for fold, (fit, judge) in enumerate(folds.split(pixels, digits), start=1):
        model.fit(pixels[fit], digits[fit])
        scores.append(model.score(pixels[judge], digits[judge]))
        seqsweep.report(fold, accuracy=statistics.mean(scores))  # here the pruner may end it
    return statistics.mean(scores)


if __name__ == "__main__":
    main()
