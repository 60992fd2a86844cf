"""What the forkserver imports of ours: by that it does the imports that were ordered."""

import signal

from seqsweep.process.preloading import obey

# SLURM sends SIGTERM to all processes of a job. Without its forkserver a trial is not waited for;
# it ends with the worker, whose pipe it watches. A trial takes its own handlers.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
obey()
