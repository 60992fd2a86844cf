"""The worker: a Hydra task that owns slots and runs the trials of a study on them."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from seqsweep.search.plan import Plan
from seqsweep.search.study.study import silence_optuna
from seqsweep.search.workers.crew import ORPHANED, OUTPUT, Crew, settle_in, warm_up
from seqsweep.search.workers.session import Session
from seqsweep.search.workers.stops import Stop
from seqsweep.secrets import keep_out_of_logs
from seqsweep.signals import ended_by_its_host, handled_by, let_the_next_one_kill
from seqsweep.terminal import LOG_WIDTH, Terminal
from seqsweep.tracking import Tracking


@dataclass
class Worker:
    """A Hydra task that runs the trials of a plan; `sweep_run` is the key of the parent run.

    It crosses to other machines as a pickle, so it holds plain values; what it opens, it opens when
    it is called. `crew` is there where a launcher runs it, beside others; most do so in a process
    of its own, but joblib with one job at a time in the program that is the sweep's (`is_at_home`).
    """

    plan: Plan
    sweep_run: str
    tracking: Tracking | None = None
    crew: Crew | None = None
    is_at_home: bool = True

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the open store with this process."""
        return {**self.__dict__, "tracking": None, "is_at_home": False}

    def __call__(self, _config: DictConfig) -> Stop:
        """Runs the trials; says what ended the sweep."""
        if self.crew is None:
            _keep_quiet()
            session = Session(self, self.plan.slots, Terminal())
            with handled_by(partial(_interrupt_once, session)):
                return session.run()
        folder, number = Path(HydraConfig.get().runtime.output_dir), HydraConfig.get().job.num
        with (folder / OUTPUT).open("a", buffering=1, encoding="utf-8") as log:
            stop = self.join(folder, Console(file=log, width=LOG_WIDTH), number)
        if stop == ORPHANED and not self.is_at_home:
            os._exit(1)  # what a launcher does after a job may wait for the program for ever
        return stop

    def join(self, folder: Path, console: Console, number: int | None = None) -> Stop:
        """Runs trials beside other workers; what it writes is in `folder`.

        Without a `number` nobody has launched it but a person. At home a signal is the sweep's to
        answer too, after this worker, whose trials it may have ended.
        """
        _keep_quiet()
        keep_out_of_logs()
        if self.is_at_home:
            warm_up(self.plan, folder)
            session = Session(self, self.crew.slots(self.plan, number), console, folder)
            with handled_by(session.interrupt, passes_on=True):
                return session.run()
        with ended_by_its_host() as ended:
            settle_in(self.plan, self.crew, folder)
            session = Session(self, self.crew.slots(self.plan, number), console, folder)
            ended.calls(partial(session.interrupt, hands_back=True))
            return session.run()


def _interrupt_once(session: Session) -> None:
    """Ends the running trials; the next signal ends the program."""
    let_the_next_one_kill()
    session.interrupt()


def _keep_quiet() -> None:
    """Leaves the worker's log to its file: the screen belongs to the display."""
    silence_optuna()
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
