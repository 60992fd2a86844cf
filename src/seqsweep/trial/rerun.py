"""A recorded trial trained again, and whether it came to the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf, open_dict

from seqsweep.config import Config, TrackingConfig, checked
from seqsweep.errors import ConfigError, UserError
from seqsweep.tracking.recorded import Recorded

CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
# Where and on what it trains is not of the trial; all else is.
MAY_DIFFER = ("tracking", "devices")


@dataclass(frozen=True)
class Rerun:
    """A trial of which the config `cfg` is; `recorded` is how it went."""

    cfg: DictConfig
    recorded: Recorded

    @classmethod
    def read(cls, cfg: DictConfig, overrides: Sequence[str]) -> Rerun:
        """Reads the trial that `+rerun=…` among the overrides names.

        Raises:
            ConfigError: the overrides would change the trial.
            TrackingError: there is no such trial.
        """
        which, *others = [text for word in overrides if (text := _value(word)) is not None]
        if others:
            raise ConfigError(f"rerun={which} and {', '.join(others)}: one trial is accepted")
        changed = [word for word in overrides if _value(word) is None and not _may_differ(word)]
        if changed:
            raise ConfigError(
                f"{', '.join(changed)}: +rerun trains the recorded trial as it was; beside it "
                f"values of {' and '.join(MAY_DIFFER)} are accepted"
            )
        values = OmegaConf.to_container(cfg.tracking, resolve=True)
        recorded = Recorded.read(checked(TrackingConfig, values, prefix="tracking"), which, CURVES)
        again = OmegaConf.create(recorded.config)
        with open_dict(again):
            again.root, again.tracking = cfg.root, cfg.tracking
            if any(word.lstrip("+~").startswith("devices") for word in overrides):
                again.devices = cfg.devices
        return cls(again, recorded)

    def checked_by(self, check: Callable[[DictConfig], Config]) -> Config:
        """Gives the config, checked.

        Raises:
            UserError: it cannot train; of another version it may lack a key.
        """
        try:
            return check(self.cfg)
        except UserError as error:
            raise type(error)(
                f"the config of the run {self.recorded.run_id} cannot train here: {error}"
            ) from error

    def compared(self, points: Mapping[str, Mapping[int, float]]) -> str:
        """Says whether the curves are the recorded ones to the last bit, as far as those go."""
        of = f"those of the run {self.recorded.run_id}"
        n = 0
        for name, curve in self.recorded.curves.items():
            for step, value in curve.items():
                now = points.get(name, {}).get(step)
                if now != value:
                    return f"the curves differ from {of}: {name} at {step} is {now}, was {value}"
                n += 1
        return f"the curves are {of} to the last bit, at all {n} points" if n else f"{of} are none"


def _value(override: str) -> str | None:
    key, _, value = override.partition("=")
    return value.strip("'\"") if key.lstrip("+") == "rerun" else None


def _may_differ(override: str) -> bool:
    key = override.partition("=")[0].lstrip("+~")
    return key.partition(".")[0].partition("@")[0] in MAY_DIFFER
