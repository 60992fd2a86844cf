"""What the forkserver imports of ours: by that it does the imports that were ordered."""

import gc
import signal

from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from seqsweep.process.preloading import obey
from seqsweep.signals import TIME_IS_UP

# SLURM sends SIGTERM to all processes of a job. Without its forkserver a trial is not waited for;
# it ends with the worker, whose pipe it watches. A trial takes its own handlers.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(TIME_IS_UP, signal.SIG_IGN)  # a trial too: its worker ends it in its own way
# Ctrl-C is the worker's to answer. Each trial is forked with the handler that stands here; SIG_IGN
# would pass on to programs that a job starts.
signal.signal(signal.SIGINT, lambda *_: None)
gc.disable()  # of what is imported nothing goes
obey()
# What else each trial would do anew: look for Hydra's plugins, 15 ms, and learn the grammar of
# interpolations, 3 ms.
Plugins.instance()
OmegaConf.create({"a": "${b}/${oc.env:HOME,'~'}", "b": 0}).get("a")
OmegaConf.create({"a": "${b.c}/${b.d}.log", "b": {"c": 0, "d": 0}}).get("a")
# A trial's collector need not look at all this, which would also copy its pages.
gc.freeze()
