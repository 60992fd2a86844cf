"""An app whose trials end in every way that a trial can end."""

import multiprocessing
import os
import signal
import sys
import threading

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import seqsweep


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def raises() -> None:
    raise ValueError("no such thing\nin two lines")


def exits() -> None:
    sys.exit(3)


def pruned() -> None:
    seqsweep.report(1, loss=0.5)
    seqsweep.report(2, loss=1e9)


def step_below_zero() -> None:
    seqsweep.report(-1, loss=0.5)


def bad_metric() -> None:
    seqsweep.report(1, **{"f1@5": 0.5})


def half_a_character() -> None:
    raise ValueError("\ud83d")


def lingers() -> float:
    """Leaves a thread that never ends."""
    threading.Thread(target=threading.Event().wait).start()
    return 0.75


def has_children() -> float:
    with multiprocessing.Pool(2) as pool:
        return float(sum(pool.map(abs, [-1, 1])))


def hangs() -> None:
    threading.Event().wait()


WAYS = {
    "completes": lambda: 0.5,
    "counts": lambda: 1,
    "not_a_number": lambda: float("nan"),
    "infinite": lambda: float("-inf"),
    "text": lambda: "0.5",
    "nothing": lambda: None,
    "two": lambda: (1.0, 2.0),
    "raises": raises,
    "exits": exits,
    "killed": killed,
    "segfault": segfault,
    "pruned": pruned,
    "step_below_zero": step_below_zero,
    "bad_metric": bad_metric,
    "half_a_character": half_a_character,
    "lingers": lingers,
    "has_children": has_children,
}
# In these ways every third trial fails, in turn, where the config says so.
IN_TURN = ["not_a_number", "raises", "exits", "killed", "segfault", "hangs", "text"]
IN_TURN_WAYS = {**WAYS, "hangs": hangs}


@hydra.main(config_path=None, config_name="ways_to_end", version_base="1.3")
def main(cfg: DictConfig) -> float:
    print("this goes into the folder of the job")
    if not cfg.every_third_fails:
        return WAYS[cfg.way]()
    turn, place = divmod(HydraConfig.get().job.num, 3)
    return IN_TURN_WAYS[IN_TURN[turn % 7]]() if place == 2 else cfg.x


if __name__ == "__main__":
    ConfigStore.instance().store(
        name="ways_to_end",
        node={
            "defaults": [
                "_self_",
                {"override hydra/sweeper": "seqsweep"},
                {"override hydra/sweeper/sampler": "grid"},
            ],
            "way": "completes",
            "every_third_fails": False,
            "x": 0.0,
            "odd@key": 1,  # a name that MLflow does not take
            "hydra": {
                "sweep": {"dir": "sweep", "subdir": "${hydra.job.num}"},
                "sweeper": {
                    "seed": 1,
                    "pruner": {"_target_": "optuna.pruners.ThresholdPruner", "upper": 1.0},
                    "params": {"way": ",".join(WAYS)},
                },
            },
        },
    )
    main()
