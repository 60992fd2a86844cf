"""What the forkserver imports once, so that a trial starts in milliseconds.

Nothing here may list devices, run an operation or read `CUDA_VISIBLE_DEVICES`: a forked process
sets its own device first.
"""

from seqsweep.trial.quiet import load_tensorflow

load_tensorflow()

import seqsweep.trial.checkpoint  # noqa: E402
import seqsweep.trial.devices  # noqa: E402
import seqsweep.trial.findings  # noqa: E402
import seqsweep.trial.pictures  # noqa: E402
import seqsweep.trial.train  # noqa: E402, F401
from seqsweep.tracking.models import warm_up  # noqa: E402

warm_up()
