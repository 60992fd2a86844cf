"""Who may start another trial."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial, TrialState

from seqsweep.search.settings import Settings
from seqsweep.search.workers.stops import Stop, find_stop, settled

NOTIFY_S = 1.0  # at most, until those who wait hear of a stop


class Budget:
    """Gives the slots of a worker leave to start trials, until a stop says no more.

    Called from the threads of the slots; `trials` reads the study. Where other workers run trials
    of it too, `look_s` are the seconds from one look at them to the next; each trial that runs
    counts then, and the store has the last word. `timeout_s` is
    what is left of `settings.timeout`.
    """

    def __init__(
        self,
        settings: Settings,
        total: int | None,
        trials: Callable[[], Sequence[FrozenTrial]],
        *,
        look_s: float | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._settings = settings
        self._total = total
        self._trials = trials
        self._look_s = look_s
        self._running = 0
        timeout_s = settings.timeout if timeout_s is None else timeout_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s
        self._changed = threading.Condition()
        self._stop: Stop | None = None

    @property
    def stopped_by(self) -> Stop | None:
        """What ended the sweep, None while it goes on."""
        return self._stop

    def take(self) -> bool:
        """Gives leave for one trial; False once there is none to start any more.

        Waits where only a trial that runs now could still make room, by failing and being tried
        again.
        """
        with self._changed:
            while self._stop is None:
                trials = self._trials()
                ended = settled(trials)
                found = find_stop(self._settings, self._total, ended) or self._timeout()
                if found is not None and self._stop is None:  # one may have come meanwhile
                    self._stop = found
                if self._stop is not None:
                    self._changed.notify_all()
                elif self._total is None or len(ended) + self._in_flight(trials) < self._total:
                    self._running += 1
                    return True
                else:
                    self._wait()
            return False

    def _in_flight(self, trials: Sequence[FrozenTrial]) -> int:
        if self._look_s is None:
            return self._running
        return sum(trial.state is TrialState.RUNNING for trial in trials)

    def _wait(self) -> None:
        """Waits for news from the other slots, or from other workers."""
        waits = [s for s in (self._seconds_left(), self._look_s) if s is not None]
        self._changed.wait(min(waits, default=None))

    def give_back(self) -> None:
        """Says that a trial has ended, and that the study knows."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def stop(self, stop: Stop) -> None:
        """Ends the sweep for a reason that the study does not know; an interrupt comes first.

        It waits for no store that is away: who reads the study has the lock, and sees it then.
        """
        if self._stop is None or stop.field == "interrupt":
            self._stop = stop
        if self._changed.acquire(timeout=NOTIFY_S):
            self._changed.notify_all()
            self._changed.release()

    def _seconds_left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _timeout(self) -> Stop | None:
        if self._seconds_left() != 0.0:
            return None
        return Stop("timeout", f"{self._settings.timeout:g} s are over")
