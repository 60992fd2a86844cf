"""What the forkserver imports of ours: by that it does the imports that were ordered."""

from seqsweep.process.preloading import obey

obey()
