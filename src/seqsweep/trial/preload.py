"""What the forkserver imports once, so that a trial starts in milliseconds.

Nothing here may list devices, run an operation or read `CUDA_VISIBLE_DEVICES`: a forked process
sets its own device first.
"""

import seqsweep.trial.quiet  # noqa: I001 - before TensorFlow
import seqsweep.tracking.models
import seqsweep.trial.train  # noqa: F401
