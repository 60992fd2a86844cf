"""The study: samplers, the store, who runs it, what earlier sweeps left."""
